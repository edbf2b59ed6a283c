"""The examples of agents: the report on the bundled model, the repair by a script, as it needs a large model."""

import runpy
import shutil
from pathlib import Path

from kimi_cpu.agent.builtin import Documents
from tests.agent.fake import FakeLLM, Turn, call
from tests.agent.test_loop import results

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_report_asks_for_the_date_and_searches_for_each_topic(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES / "news_report")
    example = runpy.run_path(str(EXAMPLES / "news_report" / "__main__.py"))
    turns = [call("get_date"), call("web_search", query="chess news 3 May 2026"), Turn("Chess: … [1]")]
    for folder, found in (
        (None, '{"results": [{"title": "The chess week in London begins with 40 guests.", "url": "chess.md"}]}'),
        (EXAMPLES / "news_report" / "news", "1. The chess week in London begins with 40 guests. (chess.md)\n2. "),
    ):
        llm = FakeLLM(*turns)
        outcome = example["report"](llm, ["chess", "film", "music"], folder)
        assert outcome.content == "Chess: … [1]"
        assert llm.asked[0][0][0]["content"] == "Write the daily news report about chess, film and music."
        assert results(llm.asked[2][0])[1].startswith(found)
    news = Documents(EXAMPLES / "news_report" / "news")
    for topic in ("chess", "housing", "sports", "film", "energy", "music"):
        for day in range(1, 32):  # the day is no reason to find another topic's page
            assert news.search(f"{topic} news {day} May 2026")[0].address == f"{topic}.md"


def test_repair_runs_the_tests_until_they_pass(tmp_path):
    example, folder = runpy.run_path(str(EXAMPLES / "fix_tests" / "__main__.py")), tmp_path / "broken"
    shutil.copytree(EXAMPLES / "fix_tests" / "broken", folder)
    edits = [("sum(prices[1:])", "sum(prices)"), ("price * percent", "round(price * percent / 100)")]
    turns = [call("run_tests"), call("read_file", path="prices.py")]
    turns += [call("edit_file", path="prices.py", old=old, new=new) for old, new in edits]
    llm = FakeLLM(*turns, call("run_tests"), Turn("Both functions were wrong."))
    said, passes = example["fix"](llm, folder)
    first, source, *_, last = results(llm.asked[5][0])
    assert "FAILED (failures=2)" in first and "sum(prices[1:])" in source and last.rstrip().endswith("[all tests pass]")
    assert said == "Both functions were wrong." and passes
    assert not example["fix"](FakeLLM(Turn("I give up.")), EXAMPLES / "fix_tests" / "broken")[1]
