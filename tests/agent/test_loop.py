"""The loop: what the model is sent after each of its turns, and where a run ends."""

import json
import threading

import pytest

from kimi_cpu.agent import Agent, Reply, Watch, tool
from kimi_cpu.errors import ConfigError, Interrupted, RequestError
from tests.agent.fake import SECTION, FakeLLM, Turn, call


def double(x: int) -> int:
    """Double."""
    return 2 * x


class Seen(Watch):
    """Keeps what it is told."""

    def __init__(self, *replies):
        self.records, self.notices, self.replies = [], [], list(replies)

    def record(self, record):
        self.records.append(record)

    def notice(self, text):
        self.notices.append(text)

    def paused(self):
        return self.replies.pop(0)

    def kinds(self):
        return [record.kind for record in self.records]


def results(messages):
    return [message["content"] for message in messages if message["role"] == "tool"]


def test_results_go_back_with_the_reasoning_until_there_is_an_answer():
    llm = FakeLLM(call("double", x=3), Turn("It is 6."))
    seen = Seen()
    outcome = Agent(llm, [double], system="Be brief.", seed=7).run("Twice 3?", watch=seen)
    assert (outcome.content, outcome.reason, outcome.steps, outcome.calls) == ("It is 6.", "answered", 2, 1)
    (first, options), (second, _) = llm.asked
    assert first == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Twice 3?"}]
    assert options["seed"] == 7
    assert second[2]["reasoning_content"] == "thinking" and second[2]["tool_calls"][0]["id"] == "functions.double:0"
    assert second[3:] == [{"role": "tool", "tool_call_id": "functions.double:0", "content": "6"}]
    assert seen.kinds() == ["begun", "answered", "called", "returned", "answered", "ended"]
    assert outcome.generated_tokens == 20 and outcome.computed_tokens == 2 and outcome.seconds >= 6


def test_calls_of_a_turn_run_at_the_same_time_and_come_back_in_order():
    barrier = threading.Barrier(3, timeout=10)

    def meet(x: int) -> int:
        barrier.wait()
        return x

    llm = FakeLLM(Turn(calls=[("meet", json.dumps({"x": i})) for i in (3, 1, 2)]), Turn("ok"))
    Agent(llm, [meet]).run("Go")
    assert results(llm.asked[1][0]) == ["3", "1", "2"]


def test_what_goes_wrong_in_a_call_goes_back_to_the_model():
    never = threading.Event()

    @tool(timeout=0.01)
    def hang():
        never.wait(10)

    def fail():
        raise ValueError("no " * 5000)

    def leave():
        raise SystemExit(3)

    calls = [("hang", "{}"), ("fail", "{}"), ("leave", "{}"), ("double", '{"x": "?"}'), ("double", "{"), ("none", "")]
    llm = FakeLLM(Turn(calls=calls), Turn("ok"), context=1_000_000)
    seen = Seen()
    Agent(llm, [hang, fail, leave, double]).run("Go", watch=seen)
    never.set()
    hung, failed, left, unfit, broken, unknown = results(llm.asked[1][0])
    assert hung == "Error: hang was not done after 0.01 s, and may still be at work."
    assert failed.startswith("Error: ValueError: no no") and len(failed) < 3000
    assert left == "Error: SystemExit: 3" and unfit.startswith("Error: The arguments do not fit the tool: x: ")
    assert broken.startswith("Error: The arguments are no JSON: ")
    assert unknown == "Error: there is no tool none; there are hang, fail, leave, double, read_result."
    statuses = {record.call: record.status for record in seen.records if record.kind == "returned"}
    assert statuses == {"1.0": "timed out", **{f"1.{i}": "failed" for i in range(1, 6)}}


def test_denied_call_is_never_run():
    made = []

    class Deny(Watch):
        def approve(self, call, tool):
            return call.arguments != '{"x": 1}'

    llm = FakeLLM(Turn(calls=[("note", '{"x": 1}'), ("note", '{"x": 2}')]), Turn("ok"))

    def note(x: int):
        made.append(x)

    Agent(llm, [note]).run("Go", watch=Deny())
    assert made == [2]
    assert results(llm.asked[1][0]) == ["Error: the user has not allowed this call; it was not made.", "done"]


def test_long_result_is_kept_and_the_model_can_read_all_of_it():
    text = "".join(f"line {i}\n" for i in range(3000))

    def show():
        return text

    def reads(start):
        return call("read_result", call="1.0", start=start)

    llm = FakeLLM(call("show"), reads(400), Turn("ok"), context=8000)
    Agent(llm, [show]).run("Go")
    (shown,) = results(llm.asked[1][0])
    assert len(shown) < 1200 and shown.startswith("line 0\n") and shown.endswith("line 2999\n")
    assert 'read_result(call="1.0", start=666) reads on' in shown
    part = results(llm.asked[2][0])[1]
    assert (
        part
        == f'{text[400:1150]}\n[400 to 1,150 of {len(text):,} characters; read_result(call="1.0", start=1150) reads on]'
    )


def test_equal_calls_with_equal_results_are_told_and_then_ended():
    llm = FakeLLM(*[call("double", x=1)] * 4, Turn("2"))
    outcome = Agent(llm, [double]).run("Go")
    assert (outcome.content, outcome.reason) == ("2", "a loop of equal calls with equal results")
    last = results(llm.asked[4][0])
    assert last[:2] == ["2", "2"] and "had this result 3 times" in last[2] and "had this result 4 times" in last[3]
    assert llm.asked[4][0][-1]["role"] == "user" and llm.asked[4][1]["logit_bias"] == {-1: -100.0}


def test_calls_that_bring_something_new_in_between_are_no_loop():
    counts = iter(range(100))

    def count() -> int:
        return next(counts)

    turns = [turn for _ in range(10) for turn in (call("double", x=1), call("count"))]
    llm = FakeLLM(*turns, Turn("ok"))
    assert Agent(llm, [double, count]).run("Go").reason == "answered"
    llm = FakeLLM(*[call("double", x=i % 2) for i in range(8)], Turn("ok"))  # a longer period
    outcome = Agent(llm, [double]).run("Go")
    assert outcome.reason == "a loop of equal calls with equal results" and outcome.calls == 8


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_steps": 2}, "the limit of 2 steps"),
        ({"budget": "5s"}, "the budget of 5 s"),
        ({"budget": ["2h", "20 tokens"]}, "the budget of 20 tokens"),
    ],
)
def test_at_a_limit_the_model_is_asked_to_answer_without_calls(limits, reason):
    llm = FakeLLM(call("double", x=1), call("double", x=2), Turn("enough"))
    options = {"tool_choice": "required", "logit_bias": {5: 1.0}}
    outcome = Agent(llm, [double], **limits, **options).run("Go")
    assert (outcome.content, outcome.reason, outcome.calls) == ("enough", reason, 2)
    messages, sent = llm.asked[-1]
    assert reason in messages[-1]["content"] and sent["tool_choice"] == "auto"
    assert sent["logit_bias"] == {5: 1.0, llm.tokenize(SECTION)[0]: -100.0}
    assert llm.asked[0][1]["tool_choice"] == "required" and llm.asked[0][1]["logit_bias"] == {5: 1.0}


def test_limits_that_nobody_can_mean_are_refused():
    for text in ("soon", "2 years", "-3h", "12"):
        with pytest.raises(ConfigError, match="neither a time"):
            Agent(FakeLLM(), budget=text)
    with pytest.raises(ConfigError, match="must be 1 or more"):
        Agent(FakeLLM(), max_steps=0)
    with pytest.raises(ConfigError, match="Two tools have the name double"):
        Agent(FakeLLM(), [double, double])
    with pytest.raises(RequestError, match="no task"):
        Agent(FakeLLM()).run()


def test_turns_that_bring_nothing_are_left_out_and_told():
    cut, empty = Turn(finish_reason="length"), Turn()
    llm = FakeLLM(cut, empty, Turn("ok"))
    outcome = Agent(llm).run("Go")
    assert outcome.content == "ok" and [m["role"] for m in llm.asked[2][0]] == ["user"] * 3
    assert "cut off" in llm.asked[1][0][-1]["content"] and "empty" in llm.asked[2][0][-1]["content"]
    outcome = Agent(FakeLLM(cut, cut, cut, cut)).run("Go")
    reason = "turns in a row were cut off, empty or in a circle"
    assert (outcome.content, outcome.reason, outcome.steps) == (None, reason, 3)
    assert Agent(FakeLLM(Turn("half an ans", finish_reason="length"))).run("Go").reason == "cut off"


def test_turn_that_ran_in_a_circle_is_told_so_and_an_answer_that_did_is_not_taken_for_whole():
    seen, llm = Seen(), FakeLLM(Turn(stop_reason="repetition"), Turn("ha ha ha ha", stop_reason="repetition"))
    outcome = Agent(llm).run("Go", watch=seen)
    assert (outcome.content, outcome.reason) == ("ha ha ha ha", "the answer ran in a circle")
    assert "the same again and again" in llm.asked[1][0][-1]["content"]
    assert [r.finish_reason for r in seen.records if r.kind == "answered"] == ["repetition"] * 2


def paused_run(reply, *script, tools=()):
    """A run that is paused once, within its first turn."""
    llm, seen = FakeLLM(*script), Seen(reply)
    agent = Agent(llm, tools)

    def pause():
        llm.during = None
        agent.pause()

    llm.during = pause
    return llm, seen, agent.run("Go", watch=seen)


def test_paused_turn_goes_on_where_it_was():
    llm, seen, outcome = paused_run(Reply(), Turn("ok"))
    assert outcome.content == "ok" and [sent["resume"] for _, sent in llm.asked] == [(), (1,)]
    assert llm.asked[0][0] == llm.asked[1][0] and seen.kinds() == ["begun", "answered", "ended"]


def test_paused_run_can_be_told_something_or_asked_to_answer_or_left():
    llm, _, outcome = paused_run(Reply(tell="In French."), Turn("oui"))
    assert outcome.content == "oui" and llm.asked[1][0][-1] == {"role": "user", "content": "In French."}
    assert llm.asked[1][1]["resume"] == ()
    llm, _, outcome = paused_run(Reply(answer_now=True), Turn("so far"))
    assert (outcome.content, outcome.reason) == ("so far", "asked to answer now")
    assert llm.asked[1][1]["no_think"] is True and llm.asked[1][1]["logit_bias"]
    with pytest.raises(Interrupted):
        paused_run(Reply(leave=True), Turn("never"))


def test_pause_during_calls_comes_when_they_have_results():
    def stop():
        agent.pause()

    llm, seen = FakeLLM(call("stop"), Turn("ok")), Seen(Reply(tell="More."))
    agent = Agent(llm, [stop])
    assert agent.run("Go", watch=seen).content == "ok"
    assert [m["role"] for m in llm.asked[1][0]] == ["user", "assistant", "tool", "user"]


def test_run_goes_on_with_a_conversation():
    llm, before = FakeLLM(Turn("7")), [{"role": "user", "content": "Twice 3?"}, {"role": "assistant", "content": "6"}]
    outcome = Agent(llm).run("And one more?", before=before)
    assert llm.asked[0][0] == [*before, {"role": "user", "content": "And one more?"}]
    assert outcome.messages[:2] == before
