"""A context that fills: old results are shortened, then old turns summarised, and nothing is cut in silence."""

from kimi_cpu.agent import Agent
from kimi_cpu.agent.room import SUMMARISE
from tests.agent.fake import FakeLLM, Turn, call
from tests.agent.test_loop import Seen, results


class Reader:
    """A tool whose every result is new and has so many characters."""

    def __init__(self, size):
        self.size, self.count = size, 0

    def read(self) -> str:
        self.count += 1
        return f"{self.count:04}" + "x" * (self.size - 4)


def run(context, size, *script, system=None, summary=None):
    llm, seen = FakeLLM(*script, context=context), Seen()
    llm.summary = summary
    outcome = Agent(llm, [Reader(size).read], system=system).run("Go", watch=seen)
    return llm, seen, outcome


def test_old_results_are_shortened_first_and_can_be_read_again():
    turns = [*[call("read")] * 9, call("read_result", call="1.0"), Turn("ok")]
    llm, seen, outcome = run(12_000, 1_000, *turns)
    (shortened,) = (record for record in seen.records if record.kind == "shortened")
    assert outcome.content == "ok" and shortened.calls == [f"{i}.0" for i in range(1, len(shortened.calls) + 1)]
    at = len(shortened.calls) + 1  # turns before
    before, after = llm.asked[at - 1][0], llm.asked[at][0]
    assert results(before)[0] == "0001" + "x" * 996
    assert results(after)[0].startswith("0001xxx") and len(results(after)[0]) < 300
    assert 'read_result(call="1.0")' in results(after)[0]
    assert results(after)[-1] == f"{at:04}" + "x" * 996  # the latest stays
    assert results(llm.asked[-1][0])[-1].startswith("0001" + "x" * 700)
    assert all(len(str(messages)) < 12_000 for messages, _ in llm.asked)


def test_then_a_summary_by_the_model_stands_for_all_turns_but_the_last():
    turns, summary = [*[call("read")] * 20, Turn("ok")], Turn("I have read some of them.")
    llm, seen, outcome = run(12_000, 300, *turns, system="Be brief.", summary=summary)
    kinds = seen.kinds()
    assert outcome.content == "ok" and "shortened" not in kinds and kinds.count("summarised") == 1
    at = next(i for i, (messages, _) in enumerate(llm.asked) if messages[-1]["content"] == SUMMARISE)
    asked, options = llm.asked[at]
    assert options["max_tokens"] == 1500 and options["logit_bias"] and options["no_think"] is True
    assert asked[:-1] == llm.asked[at - 1][0]  # what was computed is not computed again
    after = llm.asked[at + 1][0]
    assert [m["role"] for m in after] == ["system", "user", "user", "assistant", "tool"]
    assert after[1]["content"] == "Go" and after[2]["content"].endswith("I have read some of them.")
    assert after[-1]["content"].startswith(f"{at:04}")


def test_second_summary_takes_the_place_of_the_first():
    llm, seen, outcome = run(12_000, 300, *[call("read")] * 50, Turn("ok"), summary=Turn("as before"))
    assert outcome.content == "ok" and seen.kinds().count("summarised") >= 2
    final = [m["content"] for m in llm.asked[-1][0] if m["role"] == "user"]
    assert final[0] == "Go" and len(final) == 2 and final[1].endswith("as before")


def test_run_ends_in_words_when_no_summary_comes():
    llm, _, outcome = run(12_000, 300, *[call("read")] * 20, summary=Turn())
    assert (outcome.content, outcome.reason) == (None, "the context is full")


def test_conversation_that_leaves_no_room_is_summarised_before_the_first_turn():
    sizes = {"user": 20, "assistant": 2000}
    turns = [{"role": role, "content": "x" * size} for _ in range(6) for role, size in sizes.items()]
    llm, seen = FakeLLM(Turn("ok"), context=16_000), Seen()
    llm.summary = Turn("We talked of x.")
    outcome = Agent(llm).run("Go on.", watch=seen, before=turns)
    assert outcome.content == "ok" and seen.kinds() == ["begun", "summarised", "answered", "ended"]
    assert [m["role"] for m in llm.asked[1][0]] == ["user"] * 7 + ["assistant", "user"]
