"""Conversations: messages and what was computed for them, taken back, branched, saved and opened again."""

import gc
import json
import os
import stat

import pytest

import kimi_cpu
from kimi_cpu.errors import ConfigError, RequestError, SessionError
from tests.llm.test_wall import damaged

OPTIONS = {"max_tokens": 12, "temperature": 0, "no_think": True}
TOOL = {"type": "function", "function": {"name": "act", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def llm():
    with kimi_cpu.load(context=1024, read_ahead=False) as llm:  # the bundled model, whose answers are text
        yield llm


def roles(talk):
    return [message["role"] for message in talk.messages]


def test_answers_are_those_of_chat_with_the_messages_so_far(llm):
    talk = llm.conversation(system="Be brief.")
    first = talk.ask("Hello", **OPTIONS)
    second = talk.ask("More", **OPTIONS)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert first.token_ids == llm.chat(messages, **OPTIONS).token_ids
    messages += [first.message(), {"role": "user", "content": "More"}]
    assert talk.messages == [*messages, second.message()]
    assert second.usage.cached_tokens > first.usage.prompt_tokens
    assert repr(talk) == f"<Conversation, 5 messages, {talk.session.num_tokens} tokens>"


def test_stream_and_handle_bring_the_same_answer(llm):
    asked, streamed, submitted = (llm.conversation() for _ in range(3))
    turn = asked.ask("Hello", **OPTIONS)
    pieces = list(streamed.stream("Hello", **OPTIONS))
    assert tuple(i for p in pieces for i in p.token_ids) == turn.token_ids
    handle = submitted.submit("Hello", **OPTIONS)
    assert handle.result().token_ids == turn.token_ids
    assert asked.messages == streamed.messages == submitted.messages != []


def test_what_is_undone_was_never_said(llm):
    talk = llm.conversation(system="Be brief.")
    talk.ask("Hello", **OPTIONS)
    before = list(talk.messages)
    turn = talk.ask("More", **OPTIONS)
    assert talk.undo() == "More" and talk.messages == before
    again = talk.ask("More", **OPTIONS)
    assert again.token_ids == turn.token_ids and again.usage.cached_tokens >= turn.usage.cached_tokens
    assert (talk.undo(), talk.undo(), talk.undo(), roles(talk)) == ("More", "Hello", None, ["system"])


def test_branches_share_the_past_and_compute_none_of_it_again(llm):
    talk = llm.conversation(system="You are a fox in a long story about foxes. " * 4)
    talk.ask("Hello", **OPTIONS)
    branches = [talk.fork() for _ in range(8)]
    past, handles = list(talk.messages), []
    for number, branch in enumerate(branches):
        handles.append(branch.submit(f"Branch {number}", **OPTIONS))
    turns = [handle.result() for handle in handles]
    tokens = talk.session.num_tokens
    for number, (branch, turn) in enumerate(zip(branches, turns, strict=True)):
        assert branch.messages == [*past, {"role": "user", "content": f"Branch {number}"}, turn.message()]
        assert turn.usage.cached_tokens >= tokens - 1
        assert turn.usage.prompt_tokens - turn.usage.cached_tokens < 64
    assert talk.messages == past and talk.session.num_tokens == tokens
    assert branches[3].ask("More", **OPTIONS).usage.cached_tokens > tokens
    branches[0].messages[0]["content"] = "Be brief."
    assert talk.messages == past and talk.system != "Be brief."


def test_stopped_answer_stays_and_a_dropped_one_does_not(llm):
    talk = llm.conversation()
    handle = talk.submit("Hello", max_tokens=500, ignore_eos=True)
    with pytest.raises(RequestError, match="still coming"):
        talk.ask("More")
    handle.cancel()
    assert handle.result().finish_reason == "cancelled" and roles(talk) == ["user", "assistant"]
    pieces = talk.stream("More", max_tokens=500, ignore_eos=True)
    next(pieces)
    pieces.close()
    assert roles(talk) == ["user", "assistant"] * 2
    handle = talk.submit("And more", max_tokens=500, ignore_eos=True)
    handle.cancel()  # and nobody reads it before the next question
    talk.ask("At last", **OPTIONS)
    assert roles(talk) == ["user", "assistant"] * 4
    handle = talk.submit("Never mind", max_tokens=500, ignore_eos=True)
    del handle
    gc.collect()
    talk.ask("Well", **OPTIONS)
    assert "Never mind" not in json.dumps(talk.messages) and roles(talk) == ["user", "assistant"] * 5


def test_question_that_cannot_be_answered_leaves_no_trace(llm, tiny_file, tmp_path):
    talk = llm.conversation()
    with pytest.raises(RequestError):
        talk.ask("Hello", tool_choice="required")
    with pytest.raises(RequestError, match="messages"):
        talk.ask(["Hello"])
    assert talk.messages == []
    path = damaged(tiny_file, tmp_path / "damaged.gguf", "token_embd.weight", ord("~"))  # its tokens are bytes
    with kimi_cpu.load(path, context=512) as broken:
        talk = broken.conversation()
        with pytest.raises(kimi_cpu.errors.NonFiniteLogits):
            talk.ask("~", **OPTIONS)
        assert talk.messages == []
        talk.ask("Hello", **OPTIONS)
        assert roles(talk) == ["user", "assistant"]


def test_results_of_tools_are_asked_as_messages(llm):
    talk = llm.conversation()
    turn = talk.ask("Do it", [TOOL], tool_choice="required", max_tokens=200, seed=3)
    result = {"role": "tool", "tool_call_id": turn.tool_calls[0]["id"], "content": "done"}
    talk.ask([result], [TOOL], **OPTIONS)
    assert roles(talk) == ["user", "assistant", "tool", "assistant"]
    assert talk.undo() == "Do it" and talk.messages == []


def test_half_a_surrogate_pair_can_be_saved(llm, tmp_path):
    talk = llm.conversation(tmp_path / "talk")
    talk.ask("a\ud800b", **OPTIONS)
    talk.save()
    assert json.loads((tmp_path / "talk.json").read_text())[0]["content"] == "a\ufffdb"


def test_saved_conversation_goes_on_in_another_process(tmp_path):
    with kimi_cpu.load(context=1024, read_ahead=False) as llm:
        talk = llm.conversation(tmp_path / "new" / "talk", system="Be brief.")
        first = talk.ask("Hello", **OPTIONS)
        talk.save()
        messages, straight = list(talk.messages), talk.ask("More", **OPTIONS)
    with kimi_cpu.load(context=1024, read_ahead=False) as llm:
        talk = llm.conversation(tmp_path / "new" / "talk")
        assert (talk.messages, talk.system, talk.notices) == (messages, "Be brief.", ())
        restored = talk.ask("More", **OPTIONS)
        talk.system = None
        assert roles(talk)[0] == "user"
    assert restored.token_ids == straight.token_ids
    assert restored.usage.cached_tokens == straight.usage.cached_tokens > first.usage.prompt_tokens
    for file in ("talk", "talk.json"):
        assert stat.S_IMODE(os.stat(tmp_path / "new" / file).st_mode) == 0o600


def test_foreign_file_is_refused_and_stays_as_it_is(llm, tmp_path):
    (tmp_path / "letter").write_text("Dear Sir")
    with pytest.raises(SessionError, match="is not a session file"):
        llm.conversation(tmp_path / "letter")
    (tmp_path / "talk.json").write_text('{"no": "messages"}')
    with pytest.raises(SessionError, match="is no list of messages"):
        llm.conversation(tmp_path / "talk")
    talk = llm.conversation()
    with pytest.raises(RequestError, match="no path"):
        talk.save()
    for name in ("letter", "talk"):
        with pytest.raises(ConfigError):
            talk.save(tmp_path / name)
    assert (tmp_path / "letter").read_text() == "Dear Sir"
    assert (tmp_path / "talk.json").read_text() == '{"no": "messages"}'


def test_what_another_model_computed_is_computed_again(llm, tiny_file, tmp_path):
    talk = llm.conversation(tmp_path / "talk")
    first = talk.ask("Hello", **OPTIONS)
    talk.save()
    with kimi_cpu.load(tiny_file, context=1024) as other:
        talk = other.conversation(tmp_path / "talk")
        (notice,) = talk.notices
        assert "belongs to another model" in notice
        assert talk.messages[1] == first.message() and talk.session.num_tokens == 0
        assert talk.ask("More", **OPTIONS).usage.cached_tokens == 0
