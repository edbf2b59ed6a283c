"""A run of the agent in the page: calls that wait for the reader, and what a reload, a second window and a stop do."""

import json

import pytest

import kimi_cpu
from tests.agent.fake import Turn, call
from tests.agent.test_loop import results

from .agent_client import TOKEN, AgentLLM, configured, serving_agent
from .browser import NEEDS_CHROMIUM, Page, chromium

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def served(tiny_file, tmp_path_factory):
    llm = AgentLLM(Turn("nothing"), tokenizer=kimi_cpu.Tokenizer.load(tiny_file))
    broken = {"command": "/no/such/program"}
    with (
        serving_agent(llm, configured(tmp_path_factory.mktemp("mcp"), broken=broken), allow=("notes__add",)) as client,
        chromium(tmp_path_factory.mktemp("chromium")) as browser,
    ):
        yield llm, client.served.url, browser


@pytest.fixture
def page(served):
    """A page that was opened by the link that the server printed."""
    llm, url, browser = served
    llm.play(Turn("nothing"))
    browser.get(url)
    browser.execute_script("localStorage.clear()")
    browser.get("about:blank")
    browser.get(f"{url}/#agent={TOKEN}")
    page = Page(browser, llm, url)
    page.until(lambda: page.one("#with-tools").is_displayed())
    return page


def states(page) -> list[str]:
    return [card.get_attribute("data-state") for card in page.all("details.call")]


def append(path, text="x"):
    return call("notes__append", path=str(path), text=text)


def test_run_shows_each_step_folded_and_the_next_question_knows_it(page):
    page.llm.play(
        Turn(calls=[("notes__add", '{"a": 2, "b": 3}')], reasoning="I must add."),
        Turn("It is **5**."),
        Turn("It was 5."),
    )
    assert page.browser.current_url.endswith("/")  # without the token
    page.ask("2 + 3?")
    page.until_done()
    page.until(lambda: page.one(".turn.run > .stats").text.startswith("2 steps · 1 calls"))
    assert states(page) == ["done"] and page.one("details.call").get_attribute("open") is None
    assert page.one("details.call summary").text.startswith("notes__add")
    page.one("details.call summary").click()
    shown = [pre.text for pre in page.all("details.call pre")]
    assert json.loads(shown[0]) == {"a": 2, "b": 3} and shown[1] == "5"
    assert page.all(".run details.thinking")[0].get_attribute("open") is None
    assert page.one(".run .content strong").text == "5"
    page.ask("What was it?")
    page.until(lambda: len(page.llm.asked) == 3)
    page.until_done()
    assert [m["role"] for m in page.llm.asked[2][0]] == ["user", "assistant", "tool", "assistant", "user"]
    assert page.errors() == []


def test_call_waits_for_the_reader_who_sees_all_of_it(page, tmp_path):
    path = tmp_path / "effect"
    page.llm.play(append(path, "a\u202eb"), Turn("ok"))
    page.ask("Go")
    page.until(lambda: page.all(".question button"))
    assert states(page) == ["waiting"] and page.one("details.call pre").is_displayed()
    assert "a\\u{202e}b" in page.one("details.call pre").text and page.browser.title == "Waiting · kimi-cpu"
    assert not path.exists()
    page.one(".question .allow").click()
    page.until_done()
    assert path.read_text() == "a\u202eb" and states(page) == ["done"] and page.browser.title == "kimi-cpu"


def test_answered_and_waiting_calls_stand_in_one_picture(page):
    page.llm.play(
        Turn(calls=[("notes__add", '{"a": 2, "b": 3}')], reasoning="How many bottles are that?"),
        Turn(
            calls=[("notes__append", '{"path": "shopping.txt", "text": "5 bottles of milk"}')], reasoning="I note it."
        ),
        Turn("ok"),
    )
    page.ask("Put two bottles of milk on my shopping list, and three for the neighbours.")
    page.until(lambda: states(page) == ["done", "waiting"])
    page.save("page-agent")
    page.one(".question .deny").click()
    page.until_done()


def test_denied_call_is_not_made_and_one_allowed_for_ever_is_not_asked_about_again(page, tmp_path):
    path = tmp_path / "effect"
    page.llm.play(append(path), Turn("no?"), append(path), append(path), Turn("ok"))
    page.ask("Go")
    page.until(lambda: page.all(".question .deny"))
    page.one(".question .deny").click()
    page.until_done()
    assert states(page) == ["failed"] and not path.exists()
    page.ask("Do it.")
    page.until(lambda: page.all(".question .always"))
    page.one(".question .always").click()
    page.until(lambda: states(page) == ["failed", "done", "done"])
    page.until_done()
    assert path.read_text() == "xx"
    page.one("#settings-open").click()
    boxes = {box.get_attribute("value"): box for box in page.all("#allowed input")}
    assert [n for n, box in boxes.items() if box.is_selected()] == ["notes__add", "notes__append"]
    assert not boxes["notes__add"].is_enabled() and "broken is left out" in page.one("#notices").text
    boxes["notes__append"].click()
    page.one("#settings button[value=save]").click()
    page.llm.play(append(path), Turn("ok"))
    page.ask("Again.")
    page.until(lambda: page.all(".question .deny"))
    page.one(".question .deny").click()
    page.until_done()


def test_reload_and_a_second_window_find_the_call_that_waits(page, tmp_path):
    path = tmp_path / "effect"
    page.llm.play(call("notes__add", a=1, b=1), append(path), Turn("ok"))
    page.ask("Go")
    page.until(lambda: page.all(".question .allow"))
    page.browser.refresh()
    page.until(lambda: page.all(".question .allow"))
    first = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    page.browser.get(page.url)
    page.until(lambda: page.all(".question .allow"))
    page.one(".question .allow").click()
    page.until_done()
    assert path.read_text() == "x" and states(page) == ["done", "done"]
    page.browser.close()
    page.browser.switch_to.window(first)
    page.until_done()
    assert states(page) == ["done", "done"] and page.all(".run .content")[-1].text == "ok"


def test_stop_and_answer_now_end_a_run_without_the_call(page, tmp_path):
    path = tmp_path / "effect"
    page.llm.play(append(path), Turn("As far as I know."))
    page.ask("Go")
    page.until(lambda: page.all(".question"))
    page.one("#answer-now").click()
    page.until_done()
    assert "As far as I know." in page.one(".turn.run").text and "asked to answer now" in page.one(".turn.run").text
    page.llm.play(append(path), Turn("on it"))
    page.ask("Go on")
    page.until(lambda: states(page) == ["failed", "waiting"])
    page.one("#stop").click()
    page.until_done()
    assert states(page) == ["failed", "failed"] and "No answer: stopped." in page.all(".turn.run")[1].text
    page.llm.play(Turn("fine"))
    page.ask("Never mind")
    page.until(lambda: len(page.llm.asked) == 1)
    assert "may have been carried out" in results(page.llm.asked[0][0])[-1]
    page.until_done()
    assert not path.exists()


def test_without_tools_the_model_is_asked_as_ever(page):
    page.one("#with-tools input").click()
    page.ask("Hello")
    page.until(lambda: page.all(".turn .error"))  # the scripted model of agents gives no plain answers
    assert not page.llm.asked


def test_page_with_an_old_token_says_where_to_find_the_new_one(page):
    page.browser.get("about:blank")
    page.browser.get(f"{page.url}/#agent=old")
    page.until(lambda: "fake" in page.one("#model").text and not page.one("#with-tools").is_displayed())
    page.until(lambda: "link" in page.one("#notices").get_attribute("textContent"))
    page.errors()  # a 401, as it must
