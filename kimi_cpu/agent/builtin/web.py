"""Search and fetch, over a source of documents: a folder (documents.py), or the web through a metasearch engine."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Annotated, Protocol
from urllib.parse import urlsplit

from pydantic import Field

from ...errors import ConfigError
from ..tool import Tool, tool, tool_of

MOST_HITS = 8
SNIPPET_CHARS = 400
MAX_BYTES = 20 << 20  # of a page
MAX_REDIRECTS = 5
TIMEOUT_S = 30.0
HEADERS = {"User-Agent": "kimi-cpu agent"}


@dataclass(frozen=True)
class Hit:
    """A document that a search has found. address: what fetch takes."""

    title: str
    address: str
    snippet: str


class Source(Protocol):
    """Where documents come from."""

    def search(self, query: str) -> list[Hit]:
        """The documents that fit best, the best first."""
        ...

    def fetch(self, address: str) -> str:
        """The text of a document. LookupError: there is none. ValueError: it may not be had, or is no text."""
        ...


def web_tools(source: Source) -> list[Tool]:
    """The tools web_search and fetch over a source."""

    @tool(read_only=True)
    def web_search(query: Annotated[str, Field(description="What to search for.")]) -> str:
        """Search the web for pages; gives title, address and a part of each."""
        hits = source.search(query)[:MOST_HITS]
        return (
            "\n".join(_shown(number, hit) for number, hit in enumerate(hits, 1))
            or "Nothing was found; search for something else."
        )

    @tool(read_only=True)
    def fetch(address: Annotated[str, Field(description="As web_search gives it.")]) -> str:
        """Read the text of a page."""
        return source.fetch(address)

    return [tool_of(web_search), tool_of(fetch)]


def _shown(number: int, hit: Hit) -> str:
    """A hit as the model sees it; a snippet that only repeats the title is left out."""
    snippet = " ".join(hit.snippet.split())[:SNIPPET_CHARS]
    return f"{number}. {hit.title} ({hit.address})" + (f"\n   {snippet}" if snippet and snippet != hit.title else "")


class Metasearch:
    """The web, searched through an engine that answers as SearXNG does."""

    def __init__(self, url: str):
        """url: of the engine. ConfigError: it is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url} is no address of a search engine; it begins with http:// or https://.")
        self._url = url if parts.path.strip("/") else f"{url.rstrip('/')}/search"

    def search(self, query: str) -> list[Hit]:
        """See Source. httpx2.HTTPError: the engine does not answer."""
        import httpx2

        parameters = {"q": query, "format": "json"}
        response = httpx2.get(self._url, params=parameters, headers=HEADERS, timeout=TIMEOUT_S, follow_redirects=True)
        response.raise_for_status()
        results = response.json().get("results") or []
        return [Hit(r.get("title") or r["url"], r["url"], r.get("content") or "") for r in results if r.get("url")]

    def fetch(self, address: str) -> str:
        """See Source. Only pages of public addresses are fetched: the text of a page may ask for what is behind this
        machine's wall."""
        import httpx2

        for _ in range(MAX_REDIRECTS):
            _check_public(address)
            with httpx2.stream("GET", address, headers=HEADERS, timeout=TIMEOUT_S) as response:
                if response.next_request is not None:
                    address = str(response.next_request.url)
                    continue
                response.raise_for_status()
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > MAX_BYTES:
                        raise ValueError(f"the page has more than {MAX_BYTES >> 20} MiB")
                return text_of_page(bytes(data), response.headers.get("content-type", ""), response.encoding)
        raise ValueError(f"the page redirects more than {MAX_REDIRECTS} times")


def text_of_page(data: bytes, content_type: str, encoding: str | None = None) -> str:
    """The text of a page: of HTML what a reader would read. ValueError: it is no text."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not kind.startswith("text/") and not kind.endswith(("json", "xml")):
        raise ValueError(f"the page is {kind}, and no text")
    text = data.decode(encoding or "utf-8", "replace")
    if "html" not in kind and not text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        return text
    import trafilatura  # which takes long

    return trafilatura.extract(text, include_links=True, output_format="markdown") or trafilatura.html2txt(text)


def _check_public(address: str) -> None:
    """ValueError: an address is not one of the public web."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{address} is no address of a page; it begins with http:// or https://")
    for *_, place in socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM):
        if not ipaddress.ip_address(str(place[0]).partition("%")[0]).is_global:
            raise ValueError(f"{parts.hostname} is not on the public web")
