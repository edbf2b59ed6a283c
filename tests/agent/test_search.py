"""Search and fetch: a folder of documents, and a search engine on the network."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kimi_cpu.agent.builtin import Documents, Metasearch, web_tools
from kimi_cpu.errors import ConfigError

PAGE = "<html><head><title>Rivers</title></head><body><nav>menu</nav><article><h1>Rivers</h1>" + (
    "<p>The Nile is a long river in Africa, and flows north.</p>" * 3
    + "</article><script>alert(1)</script></body></html>"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "foxes.md").write_text("# Foxes\n\nA fox was seen in London. " + "Other words. " * 90)
    (tmp_path / "rivers.html").write_text(PAGE)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "data.txt").write_bytes(b"\xff\xfe\0")
    (tmp_path / "fox.bin").write_text("fox fox fox")
    return tmp_path


def use(source, name, **arguments):
    return {tool.name: tool for tool in web_tools(source)}[name].call(arguments, "")


def test_documents_are_found_by_their_words_and_read(folder):
    source = Documents(folder)
    found = use(source, "web_search", query='Where was "the FOX" seen? NEAR( *')
    assert (
        found.startswith("1. Foxes (news/foxes.md)\n   ") and "fox was seen in London" in found and "bin" not in found
    )
    assert source.search("nile")[0].address == "rivers.html"
    page = use(source, "fetch", address="rivers.html")
    assert "The Nile is a long river" in page and "alert" not in page and "<" not in page
    assert use(source, "web_search", query="?!") == "Nothing was found; search for something else."
    with pytest.raises(LookupError, match="no page"):
        use(source, "fetch", address="../../etc/passwd")


def test_title_counts_more_and_words_match_by_their_stem(folder):
    (folder / "other.md").write_text("Something\n\n" + "river " * 3)
    assert [hit.address for hit in Documents(folder).search("rivers")] == ["rivers.html", "other.md"]


def test_folder_without_documents_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has no documents"):
        Documents(tmp_path)


@pytest.fixture
def engine():
    """A search engine, and a page behind it, on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            results = [{"title": "Rivers", "url": "https://a.example/r", "content": "long"}, {"title": "no address"}]
            body = json.dumps({"results": results}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args): ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_search_engine_is_asked_as_searxng_is(engine):
    source = Metasearch(f"http://127.0.0.1:{engine.server_port}")
    assert use(source, "web_search", query="long rivers") == "1. Rivers (https://a.example/r)\n   long"
    assert engine.asked == ["/search?q=long+rivers&format=json"]


def test_pages_behind_the_wall_are_not_fetched(engine):
    source = Metasearch("https://search.example")
    for address in (
        f"http://127.0.0.1:{engine.server_port}/",
        f"http://localhost:{engine.server_port}/",
        "http://[::1]/",
    ):
        with pytest.raises(ValueError, match="not on the public web"):
            source.fetch(address)
    for address in ("file:///etc/passwd", "ftp://a.example", "about"):
        with pytest.raises(ValueError, match="no address of a page"):
            source.fetch(address)
    assert not engine.asked
    with pytest.raises(ConfigError, match="no address of a search engine"):
        Metasearch("search.example")
