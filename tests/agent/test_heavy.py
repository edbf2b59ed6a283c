"""Several runs side by side: which tools they may call, when they end, and what the model makes of their outcomes."""

import json
import threading

import pytest

import kimi_cpu
from kimi_cpu.agent import Agent, Reply, tool
from kimi_cpu.agent.journal import read_journal
from kimi_cpu.errors import ConfigError, ContextOverflow, Interrupted, RequestError
from tests.agent.fake import SECTION, FakeLLM, Turn, call
from tests.agent.test_loop import Seen, results

REFLECT = "Here are the final answers"


class Runs(FakeLLM):
    """A model with a script for each run, which its seed names, and one for the reflection on them."""

    def __init__(self, *scripts, reflection=()):
        super().__init__()
        self.by_seed = [FakeLLM(*script) for script in scripts]
        self.reflection = FakeLLM(*reflection)

    def submit(self, messages, tools, session, **options):
        reflects = (messages[-1]["content"] or "").startswith(REFLECT)
        return (self.reflection if reflects else self.by_seed[options["seed"]]).submit(
            messages, tools, session, **options
        )

    @property
    def num_asked(self):
        return [len(one.asked) for one in self.by_seed]


class Watching(Seen):
    """Keeps how far the runs were last, and stops the process at the first record of a kind."""

    def __init__(self, *replies, stop_at=None):
        super().__init__(*replies)
        self.states, self.stop_at = [], stop_at

    def trajectories(self, trajectories):
        self.states = [one.state for one in trajectories]

    def record(self, record):
        super().record(record)
        if record.kind == self.stop_at:
            raise KeyboardInterrupt


@tool(read_only=True)
def look(x: int) -> int:
    """Look."""
    return 10 * x


def run(llm, tools=(), heavy=3, resume=None, watch=None, task="How many?"):
    return Agent(llm, tools, seed=0).run(task, heavy=heavy, resume=resume, watch=watch)


def test_runs_vote_and_the_model_reflects_on_their_outcomes():
    llm = Runs([Turn("It is A.")], [Turn("B")], [Turn("it is a")], [Turn("B!")], reflection=[Turn("B")])
    watch = Watching()
    outcome = run(llm, heavy=4, watch=watch)
    assert (outcome.content, outcome.reason, outcome.steps) == ("B", "answered", 5)
    ((messages, options),) = llm.reflection.asked
    assert messages[0] == {"role": "user", "content": "How many?"}
    assert messages[1]["content"].count("[2 of 4]\n") == 2 and "thinking" not in messages[1]["content"]
    assert options["logit_bias"] == {llm.tokenize(SECTION)[0]: -100}
    assert [count for _, count in outcome.heavy.votes] == [2, 2]
    assert outcome.heavy.by == "aggregation" and outcome.heavy.aggregation.completion_tokens == 10
    assert watch.states == ["answered"] * 4
    assert watch.kinds() == ["begun", "told", "answered", "ended"]


def test_only_tools_that_read_are_called():
    made = []

    def write(x: int) -> int:
        """Write."""
        made.append(x)
        return x

    script = [Turn(calls=[("look", '{"x": 2}'), ("write", '{"x": 2}')]), Turn("20")]
    llm = Runs(script, script, reflection=[Turn("20")])
    assert run(llm, [look, write], heavy=2).content == "20" and made == []
    for one in llm.by_seed:
        read, refused = results(one.asked[1][0])
        assert read == "20" and refused.startswith("Error: write may change something")


def test_runs_are_left_when_they_can_change_nothing():
    is_looking, may_end = threading.Event(), threading.Event()

    @tool(read_only=True)
    def wait() -> str:
        """Wait."""
        is_looking.set()
        may_end.wait(20)
        return "now"

    @tool(read_only=True)
    def meet() -> str:
        """Meet."""
        is_looking.wait(20)
        may_end.set()
        return "here"

    quick, slow = [call("meet"), Turn("A")], [call("wait"), *[call("meet")] * 50]
    llm = Runs(slow, quick, quick, reflection=[Turn("A")])
    llm.by_seed[0].during = lambda: None
    watch = Watching()
    assert run(llm, [wait, meet], watch=watch).content == "A"
    assert sorted(watch.states) == ["answered", "answered", "not needed"]


@pytest.mark.parametrize("reflection", [Turn("C"), Turn("")], ids=["another answer", "empty"])
def test_the_most_frequent_answer_stands_where_the_reflection_is_none(reflection):
    llm, watch = Runs([Turn("A")], [Turn("A")], [Turn("B")], reflection=[reflection]), Watching()
    outcome = run(llm, watch=watch)
    assert (outcome.content, outcome.reason, outcome.heavy.by) == ("A", "answered", "majority")
    assert outcome.messages[-1] == {"role": "assistant", "content": "A"} and watch.notices


def test_the_most_frequent_answer_stands_where_the_reflection_has_no_room(monkeypatch):
    llm = Runs([Turn("A")], [Turn("A")])

    def overflow(*args, **options):
        raise ContextOverflow("Too long.", num_tokens=9, most=8)

    llm.reflection.submit = overflow
    assert run(llm, heavy=2).content == "A"


def test_one_outcome_is_the_answer_and_none_is_told():
    def fail(*args, **options):
        raise ContextOverflow("Too long.", num_tokens=9, most=8)

    llm = Runs([Turn("A")], [Turn("A")])
    llm.by_seed[1].submit = fail
    outcome = run(llm, heavy=2)
    assert (outcome.content, outcome.heavy.by) == ("A", "majority") and llm.reflection.asked == []
    assert [one.state for one in outcome.heavy.trajectories] == ["answered", "failed"]
    llm = Runs([Turn("A")], [Turn("A")])
    for one in llm.by_seed:
        one.submit = fail
    with pytest.raises(ContextOverflow):
        run(llm, heavy=2)


def test_a_run_goes_on_without_a_turn_of_any_trajectory_again(tmp_path):
    path = tmp_path / "run"
    scripts = [[call("look", x=1), Turn(text)] for text in ("A", "B", "C")]
    with pytest.raises(KeyboardInterrupt):
        run(Runs(*scripts), [look], resume=path, watch=Watching(stop_at="told"))
    llm = Runs(*[[]] * 3, reflection=[Turn("B")])
    assert run(llm, [look], resume=path).content == "B" and llm.num_asked == [0, 0, 0]
    assert run(Runs(*[[]] * 3), [look], resume=path).content == "B"
    for index in range(3):
        records, _ = read_journal(tmp_path / "run.heavy" / f"0.{index}")
        assert [record.kind for record in records if record.kind in ("begun", "ended")] == ["begun", "ended"]


def test_another_task_is_worked_on_with_what_was_said_before(tmp_path):
    path = tmp_path / "run"
    run(Runs([Turn("A")], [Turn("A")], reflection=[Turn("A")]), heavy=2, resume=path)
    llm = Runs([Turn("B")], [Turn("B")], reflection=[Turn("B")])
    assert run(llm, heavy=2, resume=path, task="And now?").content == "B"
    ((messages, _),) = llm.by_seed[1].asked
    assert [m["content"] for m in messages[:1] + messages[-2:]] == ["How many?", "A", "And now?"]


def test_a_run_that_works_alone_goes_on_alone(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(FakeLLM(call("look", x=1)), [look], heavy=1, resume=path, watch=Watching(stop_at="returned"))
    with pytest.raises(ConfigError, match="works alone"):
        run(Runs([Turn("A")], [Turn("A")]), [look], heavy=2, resume=path)


@pytest.mark.parametrize("reply", [Reply(leave=True), Reply(tell="Hurry.")], ids=["leave", "tell"])
def test_a_pause_is_asked_about_once_and_holds_for_all(tmp_path, reply):
    llm = Runs(*[[call("look", x=1), Turn("A")]] * 3, reflection=[Turn("A")])
    watch, agent = Watching(reply), Agent(llm, [look], seed=0)
    llm.by_seed[0].during = lambda: watch.replies and agent.pause()
    if reply.leave:
        with pytest.raises(Interrupted):
            agent.run("How many?", heavy=3, resume=tmp_path / "run", watch=watch)
        llm.by_seed[0].during = None
    assert agent.run("How many?", heavy=3, resume=tmp_path / "run", watch=watch).content == "A"
    assert watch.replies == []
    if reply.tell:
        assert all("Hurry." in json.dumps(one.asked[-1][0]) for one in llm.by_seed[:1])


def test_heavy_is_a_number_and_said_of_a_run():
    with pytest.raises(RequestError, match="heavy is 0"):
        run(Runs(), heavy=0)
    with pytest.raises(ConfigError, match="run"):
        Agent(Runs(), heavy=2)


def test_tokens_of_a_budget_are_shared_out():
    llm = Runs(*[[call("look", x=1), call("look", x=2), Turn("A")]] * 2, reflection=[Turn("A")])
    assert Agent(llm, [look], seed=0, budget="40 tokens").run("How many?", heavy=2).content == "A"
    assert all("the budget of 20 tokens" in one.asked[-1][0][-1]["content"] for one in llm.by_seed)


def test_the_prompt_of_a_real_model_is_computed_once():
    task = "Anna lives in Rome. " * 40 + "Where does Anna live?"
    with kimi_cpu.load() as llm:
        outcome = Agent(llm, [look], seed=1, max_tokens=64).run(task, heavy=3)
        prompt = len(llm.chat_ids([{"role": "user", "content": task}]))
    assert outcome.heavy.aggregation is None or outcome.heavy.aggregation.cached_tokens >= prompt - 64
    assert outcome.computed_tokens < 2 * prompt + 400  # not four times
