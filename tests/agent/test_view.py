"""The page of a run: everything that happened is in it as text, and nothing of it is markup."""

from html.parser import HTMLParser

import pytest

from kimi_cpu.agent import Agent
from kimi_cpu.agent.view import page, write_page
from kimi_cpu.errors import ConfigError
from tests.agent.fake import FakeLLM, Turn, call
from tests.agent.test_journal import Stopped, StopsAt
from tests.agent.test_loop import Seen

EVIL = "</pre><script>alert('x')</script>$title ${body} <img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags, and the text of the page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not any(name.startswith("on") or "//" in (value or "") for name, value in attributes), attributes
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def echo(text: str) -> str:
    return text


def test_page_shows_every_step_and_lets_no_text_become_markup():
    seen = Seen()
    llm = FakeLLM(call("echo", text=EVIL), call("none"), Turn(), Turn(EVIL, reasoning=EVIL))
    Agent(llm, [echo], system=EVIL).run(EVIL, watch=seen)
    shown = Page(page(seen.records))
    assert shown.tags.count("script") == 1 and "img" not in shown.tags and not shown.open
    assert shown.text.count(EVIL) >= 5  # task, title, system, result, reasoning, answer
    for text in ("4 steps, 2 calls", "there is no tool none", "Your turn was empty", "done", "failed", "1 computed"):
        assert text in shown.text, text
    assert shown.tags.count("meter") == 4


def test_run_that_has_not_ended_has_a_page_too(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(Stopped):
        Agent(FakeLLM(call("echo", text="a")), [echo]).run("Go", resume=path, watch=StopsAt("called"))
    written = write_page(path)
    assert written == tmp_path / "run.html" and "begun, and without a result" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600
    assert write_page(path) == written  # again
    written.write_text("my own page")
    with pytest.raises(ConfigError, match="no page of a run"):
        write_page(path)
    (tmp_path / "empty").write_text("")
    with pytest.raises(ConfigError, match="no run yet"):
        write_page(tmp_path / "empty")
