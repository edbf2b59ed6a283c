"""The chat page in Chromium: skipped where there is none."""

import json

import pytest
from selenium.webdriver.common.keys import Keys

from .browser import NEEDS_CHROMIUM, Page, chromium
from .fake import FakeLLM, call_pieces, last_piece, text_pieces
from .serving import serving

pytestmark = NEEDS_CHROMIUM
MARKDOWN = """A *short* proof:

```python
def even(n: int) -> bool:
    return n % 2 == 0  # the remainder decides
```

| n | even |
|---|------|
| 4 | yes  |
"""
ATTACKS = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "[link](javascript:window.hacked=1)",
    "<svg><animate onbegin='window.hacked=1' attributeName=x dur=1s>",
    "![](http://127.0.0.1:9/leak?secret)",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<a href='data:text/html,<script>1</script>'>x</a>",
    "<form action='http://127.0.0.1:9/'><button>Send</button></form>",
    "```html\n<script>window.hacked = 1</script>\n```",
    "<style>body{display:none}</style>",
    "<p id='prompt' name='prompt' style='position:fixed'>clobber</p>",
]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def served():
    llm = FakeLLM([last_piece()])
    with serving(llm) as served:
        yield llm, served.url


@pytest.fixture
def page(browser, served):
    """A page with an empty memory."""
    llm, url = served
    browser.get(url)
    browser.execute_script("localStorage.clear()")
    browser.get(url)
    return Page(browser, llm, url)


def test_answer_streams_with_thinking_folded_and_code_coloured(page):
    going_on = []
    page.llm.play(
        [
            *text_pieces("A ", "Is four even? Its half is two."),
            lambda g: going_on,
            *text_pieces(MARKDOWN[2:]),
            last_piece(),
        ]
    )
    page.ask("Is 4 even?")
    page.until(lambda: page.all(".turn.assistant .content p"))
    assert page.one("#stop").is_displayed() and not page.one("#send").is_displayed()
    assert page.one("details.thinking").get_attribute("open") is None
    going_on.append(True)
    page.until_done()
    assert page.one("details.thinking summary").text.startswith("Thought for ")
    assert page.one(".content em").text == "short"
    assert page.all(".content .hljs-keyword") and page.all(".content td")
    assert "2.0 tokens/s" in page.one(".stats").text
    page.one("details.thinking summary").click()
    assert page.one("details.thinking div").text == "Is four even? Its half is two."
    page.save("page")
    assert page.errors() == []


def test_model_is_named_and_a_prompt_with_newlines_is_kept(page):
    page.until(lambda: page.one("#model").text == "fake-model")
    page.llm.play([*text_pieces("ok"), last_piece()])
    page.one("#prompt").send_keys("a", Keys.SHIFT, Keys.ENTER, Keys.NULL, "b", Keys.ENTER)
    page.until_done()
    page.until(lambda: page.all(".turn.assistant"))
    assert page.llm.calls[0][0] == [{"role": "user", "content": "a\nb"}]


def test_stop_ends_the_answer_and_keeps_it(page):
    page.llm.play([*text_pieces("Once upon"), lambda g: g.is_cancelled, last_piece()])
    page.ask("Tell me")
    page.until(lambda: page.all(".content p") and page.one(".content").text == "Once upon")
    page.one("#stop").click()
    page.until_done()
    page.until(lambda: page.llm.generations[0].is_cancelled)
    assert (page.one(".content").text, page.one(".stats").text) == ("Once upon", "Stopped.")


def test_answer_now_ends_the_thinking(page):
    page.llm.play([*text_pieces("", "Hmm"), lambda g: g.must_answer_now, *text_pieces("Yes."), last_piece()])
    page.ask("Well?")
    page.until(lambda: page.one("#answer-now").is_displayed())
    page.one("#answer-now").click()
    page.until_done()
    assert page.one(".content").text == "Yes."


def test_tool_call_is_shown_and_its_result_goes_back(page):
    page.browser.execute_script("localStorage.setItem('kimi-cpu.settings', arguments[0])", json.dumps({"tools": TOOLS}))
    page.browser.refresh()
    arguments = '{"city": "Rome"}'
    page.llm.play(
        [*text_pieces("", "I need it."), *call_pieces(0, "get_weather", arguments), last_piece("tool_calls")],
        [*text_pieces("It is **sunny**."), last_piece()],
    )
    page.ask("Weather in Rome?")
    page.until_done()
    page.until(lambda: page.all(".call textarea"))
    assert page.one(".call h3").text == "Calls get_weather"
    assert json.loads(page.one(".call code").text) == json.loads(arguments)
    page.save("page-tool")
    page.one(".call textarea").send_keys("sunny")
    page.one(".calls > button").click()
    page.until(lambda: page.all(".content strong"))
    page.until_done()
    assert page.llm.calls[0][2]["tools"] == TOOLS
    (_, assistant, result) = page.llm.calls[1][0]
    assert assistant["reasoning_content"] == "I need it."
    assert (result["tool_call_id"], result["content"]) == ("functions.get_weather:0", "sunny")


def test_conversations_outlive_a_reload(page):
    page.llm.play([*text_pieces("First *answer*", "Hmm"), last_piece()])
    page.ask("One")
    page.until_done()
    page.until(lambda: page.all(".stats"))
    page.one("#new").click()
    page.ask("Two")
    page.until_done()
    page.browser.refresh()
    assert [e.text for e in page.all("#conversations .open")] == ["Two", "One"]
    page.all("#conversations .open")[1].click()
    assert page.one(".turn.user").text == "One"
    assert page.one(".content em").text == "answer"
    assert page.one("details.thinking").get_attribute("open") is None
    page.all("#conversations .delete")[0].click()
    assert [e.text for e in page.all("#conversations .open")] == ["One"]


def test_nothing_that_a_model_or_tool_writes_can_run(page):
    attack = "\n\n".join(ATTACKS)
    page.llm.play([*text_pieces(attack, attack, size=1000), last_piece()])
    page.ask("<img src=x onerror='window.hacked=1'>")
    page.until_done()
    page.until(lambda: page.one(".stats").text)
    links = {link.get_attribute("href") for link in page.all(".content a")}
    assert links == {None, "http://127.0.0.1:9/leak?secret"}  # an image is a link that nobody followed
    bad = ".content :is(script, img, svg, iframe, form, button:not(.copy), style, [style], [onerror], [id], [name])"
    assert page.all(bad) == page.all(".turn.user *") == []
    assert page.browser.execute_script("return window.hacked") is None
    assert page.one("#prompt").tag_name == "textarea"
    page.browser.refresh()
    assert page.browser.execute_script("return window.hacked") is None
    assert page.errors() == []


def test_error_of_the_server_is_shown(page):
    page.llm.play([*text_pieces("Hel"), RuntimeError("detail")])
    page.ask("Hello")
    page.until(lambda: page.all(".turn .error"))
    assert page.one(".turn .error").text == "The server failed; its log says why."


def test_page_fits_a_phone_and_both_themes(page):
    page.llm.play([*text_pieces(MARKDOWN, "Hmm"), last_piece()])
    page.browser.set_window_size(500, 800)
    try:
        page.ask("Is 4 even?")
        page.until_done()
        width = page.browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]
        assert not page.one("#sidebar").is_displayed()
        page.one("#menu").click()
        assert page.one("#sidebar").is_displayed()
        page.one("#menu").click()
        colours = set()
        for _ in range(2):
            page.one("#theme").click()
            colours.add(page.one("body").value_of_css_property("background-color"))
            page.save(f"page-phone-{len(colours)}")
        assert len(colours) == 2
    finally:
        page.browser.set_window_size(1100, 800)
