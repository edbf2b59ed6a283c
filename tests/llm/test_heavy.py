"""Heavy mode: whose votes count, when the others are ended, and what becomes of the reflection. Scripted trajectories
first, then a model's own."""

import asyncio
import gc
import threading
from dataclasses import replace

import pytest

import kimi_cpu
from kimi_cpu.errors import AnswerError, ContextOverflow, EngineDeadError, RequestError
from kimi_cpu.llm import ChatCompletion, ChatOptions, Generation, Piece, Timings, Usage
from kimi_cpu.llm.heavy import HeavyGeneration
from kimi_cpu.llm.results import chat_completion
from kimi_cpu.llm.turn import ChatTurn

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
LAST = Piece(usage=Usage(10, 5, 3, 2), timings=Timings(0.1, 0.2))


def ended(finish_reason="stop", content=""):
    return replace(LAST, finish_reason=finish_reason, content=content)


def said(content, num_tokens=3, finish_reason="stop"):
    """Pieces of an answer of so many tokens."""
    thought = [Piece(reasoning_content="secret ", token_ids=(1,))] * (num_tokens - 1)
    return [*thought, Piece(content=content, token_ids=(2,)), ended(finish_reason)]


class Scripted(Generation[ChatCompletion]):
    """A generation that says what the test puts into it."""

    num_prompt_tokens = 10

    def __init__(self, *items):
        super().__init__()
        self.is_cancelled = self.must_answer = False
        self.put(*items)

    def put(self, *items):
        for item in items:
            self._outbox.put(item)

    def cancel(self):
        self.is_cancelled = True
        self.put(ended("cancelled"))

    def answer_now(self):
        self.must_answer = True

    def _read(self, came_s, item):
        if isinstance(item, Exception):
            self._error, self._is_over = item, True
        else:
            self._pieces.append(item)
            self._is_over = item.finish_reason is not None

    def _whole(self):
        return chat_completion(self._pieces)

    def _stop(self):
        self.cancel()

    def _require_own_process(self):
        pass


class Heavy:
    """A heavy generation over scripted ones. asked: messages that begin a reflection. done: answers told of."""

    def __init__(self, *trajectories, reflection=()):
        self.trajectories, self.asked, self.done = trajectories, [], []
        self.reflection = reflection if isinstance(reflection, Exception) else Scripted(*reflection)
        self.handle = HeavyGeneration(trajectories, self.reflect, self.done.append)

    def reflect(self, message):
        self.asked.append(message)
        if isinstance(self.reflection, Exception):
            raise self.reflection
        return self.reflection

    @property
    def states(self):
        return [one.state for one in self.handle.result().heavy.trajectories]


def test_model_reflects_on_answers_and_votes_and_not_on_reasoning():
    heavy = Heavy(Scripted(*said("It is A.")), Scripted(*said("B")), Scripted(*said("it is a")), reflection=said("B"))
    turn = heavy.handle.result()
    assert heavy.done == [turn] and turn.content == "B" and turn.reasoning_content == "secret secret "
    (message,) = heavy.asked
    assert "[2 of 3]\nIt is A.\n\n[1 of 3]\nB\n" in message and "secret" not in message
    assert turn.heavy.by == "aggregation" and turn.heavy.votes == (("It is A.", 2), ("B", 1))
    assert turn.usage == Usage(20, 20, 6, 8) and turn.heavy.aggregation == Usage(10, 5, 3, 2)


def test_trajectories_are_ended_when_they_can_change_nothing():
    one, two, three, slow = (Scripted(*said("A")), Scripted(*said("A")), Scripted(*said("A")), Scripted())
    slow.put(*[Piece(reasoning_content="x", token_ids=(1,))] * 3)
    heavy = Heavy(one, two, three, slow, reflection=said("A"))
    assert heavy.handle.result().content == "A"
    assert slow.is_cancelled and heavy.states == ["answered"] * 3 + ["not needed"]


def test_votes_count_by_tokens_in_whatever_order_they_are_read():
    late, early = Scripted(*said("late", 9)), [Scripted(*said(text, 4)) for text in ("early", "early")]
    heavy = Heavy(late, *early, reflection=said("early"))  # the late one is read first
    assert heavy.handle.result().content == "early"
    assert heavy.states == ["not needed", "answered", "answered"]


def test_votes_wait_for_trajectories_that_may_end_with_fewer_tokens():
    slow = Scripted(Piece(token_ids=(1,)))
    heavy = Heavy(Scripted(*said("A", 4)), Scripted(*said("A", 4)), slow, reflection=said("B"))
    heavy.handle.ready(0)
    assert heavy.asked == [] and not slow.is_cancelled
    slow.put(Piece(token_ids=(1,)), Piece(content="B", token_ids=(2,)), ended())
    turn = heavy.handle.result()
    assert turn.heavy.votes == (("B", 1), ("A", 2))[::-1]
    assert turn.content == "B" and heavy.states == ["answered"] * 3


@pytest.mark.parametrize(
    ("reflection", "why"),
    [
        (said("C"), "none of the answers"),
        (said(""), "empty"),
        (said("", finish_reason="length"), "cut off"),
        (said("A, which", finish_reason="length"), "cut off"),
        ([AnswerError("It broke.")], "It broke."),
        (ContextOverflow("Too long.", num_tokens=9, most=8), "Too long."),
    ],
    ids=["another answer", "empty", "cut off", "cut off in its content", "failed", "not begun"],
)
def test_the_most_frequent_answer_stands_where_the_reflection_is_no_answer(reflection, why):
    heavy = Heavy(*[Scripted(*said(text)) for text in ("B", "A!", "A")], reflection=reflection)
    turn = heavy.handle.result()
    assert turn.content == "A!" and turn.finish_reason == "stop" and turn.heavy.by == "majority"
    assert why in turn.warnings[0]


def test_reflection_is_free_where_no_two_agree_and_is_told_as_it_comes():
    heavy = Heavy(*[Scripted(*said(text)) for text in ("A", "B", "C")], reflection=[Piece(content="D", token_ids=(1,))])
    texts = (piece.content for piece in heavy.handle)
    assert next(text for text in texts if text) == "D"  # before its end
    heavy.reflection.put(Piece(content="E", token_ids=(1,)), ended())
    turn = heavy.handle.result()
    assert turn.content == "DE" and turn.heavy.by == "aggregation" and not turn.warnings


def test_content_is_held_back_where_two_agree():
    heavy = Heavy(*[Scripted(*said("A")) for _ in range(3)], reflection=said("C")[:-1])
    pieces = iter(heavy.handle)
    while not next(pieces).reasoning_content:
        pass
    heavy.reflection.put(ended())
    assert "".join(piece.content for piece in pieces) == "A"


def test_calls_that_most_make_are_made_without_a_reflection():
    function = {"name": "f", "arguments": "{}"}
    calls = [Piece(tool_calls=({"index": 0, "id": "functions.f:0", "type": "function", "function": function},))]
    calls.append(ended("tool_calls"))
    heavy = Heavy(Scripted(*said("A")), Scripted(*calls), Scripted(*calls))
    turn = heavy.handle.result()
    assert turn.finish_reason == "tool_calls" and turn.tool_calls[0]["function"] == function
    assert heavy.asked == [] and turn.heavy.by == "majority" and turn.heavy.votes[0] == ("f({})", 2)


def test_what_has_no_final_answer_has_no_vote():
    failed, cut = Scripted(AnswerError("It broke.")), Scripted(*said("B", finish_reason="length"))
    heavy = Heavy(failed, cut, Scripted(*said("A", 2)))
    turn = heavy.handle.result()
    assert turn.content == "A" and turn.heavy.votes == (("A", 1),) and heavy.asked == []
    assert heavy.states == ["failed", "cut off", "answered"]


def test_without_any_vote_the_answer_is_what_there_is():
    heavy = Heavy(Scripted(AnswerError("It broke.")), Scripted(*said("", finish_reason="length")))
    turn = heavy.handle.result()
    assert (turn.content, turn.finish_reason, turn.heavy.by) == (None, "length", "none")
    with pytest.raises(AnswerError, match="It broke"):
        Heavy(Scripted(AnswerError("It broke.")), Scripted(AnswerError("So did this."))).handle.result()


@pytest.mark.parametrize("reflection", [[EngineDeadError("dead")], EngineDeadError("dead")], ids=["runs", "begins"])
def test_death_of_the_engine_is_no_matter_of_votes(reflection):
    heavy = Heavy(*[Scripted(*said("A")) for _ in range(3)], reflection=reflection)
    with pytest.raises(EngineDeadError):
        heavy.handle.result()
    with pytest.raises(EngineDeadError):
        Heavy(Scripted(*said("A")), Scripted(EngineDeadError("dead"))).handle.result()


def test_cancelling_ends_all():
    heavy = Heavy(Scripted(Piece(token_ids=(1,))), Scripted(*said("A")))
    heavy.handle.cancel()
    assert heavy.handle.result().finish_reason == "cancelled"
    assert heavy.states == ["cancelled", "answered"]
    heavy = Heavy(Scripted(*said("A")), Scripted(*said("A")), reflection=[Piece(reasoning_content="x")])
    assert any(piece.reasoning_content for piece in heavy.handle)
    heavy.handle.cancel()
    assert heavy.handle.result().finish_reason == "cancelled" and heavy.reflection.is_cancelled


def test_answer_now_reaches_trajectories_and_the_reflection():
    waiting = Scripted(Piece(token_ids=(1,)))
    heavy = Heavy(waiting, Scripted(*said("A", 1)), reflection=said("A"))
    heavy.handle.answer_now()
    assert waiting.must_answer
    waiting.put(*said("A"))
    heavy.handle.result()
    assert heavy.reflection.must_answer


def test_progress_of_all_is_told():
    waiting = Scripted(Piece(token_ids=(1,)))
    heavy = Heavy(waiting, Scripted(*said("A", 1)), reflection=said("A"))
    (piece,) = heavy.handle.ready(0)
    assert [(one.state, one.answer, one.tokens) for one in piece.trajectories] == [
        ("running", None, 1),
        ("answered", "A", 1),
    ]


@pytest.fixture(scope="module")
def llm():
    with kimi_cpu.load(read_ahead=False) as llm:
        yield llm


def question(words):
    return [{"role": "user", "content": "Anna lives in Rome. " * words + "Where does Anna live?"}]


def test_the_prompt_is_computed_once(llm):
    handle = llm.submit(question(60), heavy=4, seed=1, max_tokens=64)
    turn = handle.result()
    prompt = handle.num_prompt_tokens
    cached = [track.turn.usage.cached_tokens for track in handle._tracks]
    assert prompt > 256 and cached[0] < 64 and cached[1:] == [prompt - 1] * 3
    assert turn.heavy.aggregation.cached_tokens >= prompt - 8  # all but the header of the answer


def test_same_seed_gives_the_same_answer_however_it_is_read(llm):
    def asked():
        return llm.submit(question(3), heavy=3, seed=7, max_tokens=64)

    async def awaited():
        return await asked()

    turns = [asked().result(), asyncio.run(awaited()), llm.chat(question(3), heavy=3, seed=7, max_tokens=64)]
    turns.append(chat_completion([*llm.stream(question(3), heavy=3, seed=7, max_tokens=64)]))
    assert len({(turn.content, turn.reasoning_content, turn.heavy.votes) for turn in turns}) == 1


def test_a_conversation_goes_on_after_it(llm):
    talk = llm.conversation()
    first = talk.ask("What is 17 + 25?", heavy=3, seed=1, max_tokens=64)
    assert talk.messages[1:] == [first.message()] and talk.session.num_tokens > 8
    assert talk.ask("And you?", max_tokens=8, seed=1).usage.cached_tokens >= talk.session.num_tokens // 2 - 8


def test_calls_of_tools_are_left_to_the_caller(llm):
    called = llm.chat(HELLO, [TOOL], heavy=2, seed=1, max_tokens=300, tool_choice="required")
    assert called.tool_calls and called.heavy.aggregation is None


def test_reflection_goes_on_from_the_prompt_and_calls_no_tool(llm):
    options = ChatOptions(tools=[TOOL], heavy=3, tool_choice="required")
    turn = ChatTurn(HELLO, options, kimi_cpu.Sampling(seed=5), llm.vocabulary)
    after = turn.reflecting("Reflect.")
    assert after.heavy == 1 and after.params.seed == 5 + 3
    assert after.params.logit_bias == {llm.tokenize("<|tool_calls_section_begin|>")[0]: -100}
    common = len(turn.prompt_ids) - len(llm.tokenize("<|im_assistant|>assistant<|im_middle|>"))
    assert after.prompt_ids[:common].tolist() == turn.prompt_ids[:common].tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda llm: llm.chat(HELLO, heavy=0),
        lambda llm: llm.chat(HELLO, heavy=1000),
        lambda llm: llm.samples(HELLO, 2, heavy=2),
        lambda llm: llm.submit(HELLO, heavy=2, resume=[5]),
        lambda llm: llm.chat([*HELLO, {"role": "assistant", "content": "I", "partial": True}], heavy=2),
        lambda llm: llm.generate("a", heavy=2),
    ],
    ids=["0", "1000", "n", "resume", "partial", "raw"],
)
def test_what_cannot_be_heavy_is_refused(llm, wrong):
    with pytest.raises(RequestError, match="heavy"):
        wrong(llm)


def test_dropping_the_handle_ends_all(llm):
    handle = llm.submit(HELLO, heavy=4, ignore_eos=True, seed=1)
    next(iter(handle))
    del handle
    gc.collect()
    assert llm._thread.call(lambda engine: not engine.has_work)


def test_several_threads_read_one_answer(llm):
    handle, found = llm.submit(question(2), heavy=3, seed=3, max_tokens=48), []
    threads = [threading.Thread(target=lambda: found.append(handle.result())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4 and len({turn.content for turn in found}) == 1
