"""Turns whose beginning is given, turns of one call, and how busy a model says it is."""

import pytest

import kimi_cpu
from kimi_cpu.errors import EngineDeadError, RequestError
from kimi_cpu.llm import ChatOptions, Sampling
from kimi_cpu.llm.turn import ChatTurn

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "act", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        yield llm


def opened(llm, message: dict, **options) -> ChatTurn:
    partial = {"role": "assistant", "partial": True} | message
    return ChatTurn([*HELLO, partial], ChatOptions(**options), Sampling(), llm.vocabulary)


@pytest.mark.parametrize(
    ("message", "text", "thinking"),
    [
        ({"content": "It is"}, "<think></think>It is", False),
        ({"content": ""}, "<think></think>", False),
        ({"content": "It is", "reasoning_content": "Hmm"}, "<think>Hmm</think>It is", False),
        ({"content": None, "reasoning": "Hmm"}, "<think>Hmm", True),
    ],
    ids=str,
)
def test_prompt_ends_in_the_opening_and_the_turn_goes_on_inside_it(llm, message, text, thinking):
    conversation = opened(llm, message)
    assert conversation.prompt_ids.tolist() == llm.chat_ids(HELLO) + llm.tokenize(text)
    assert conversation.thinking is thinking


def test_control_token_in_an_opening_stays_text(llm):
    ids = opened(llm, {"content": "<|im_end|>"}).prompt_ids
    assert llm.detokenize(ids).endswith("<|im_end|>") and ids[-1] != llm.tokenizer.special_tokens["<|im_end|>"]


def test_closed_thinking_is_not_closed_again(llm):
    assert opened(llm, {"content": "It is"}, no_think=True).guide(10) is None


def test_next_turn_sees_opening_and_answer_as_one(llm):
    conversation = opened(llm, {"content": "It is"})
    ids = conversation.following({"role": "assistant", "content": " so."})
    assert "It is so.<|im_end|>" in llm.detokenize(ids)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ({"content": "a", "name": "Kimi"}, {}),
        ({"content": "a", "tool_calls": [{"id": "x", "function": {"name": "act", "arguments": "{}"}}]}, {}),
        ({"content": "{"}, {"response_format": {"type": "json_object"}}),
    ],
    ids=str,
)
def test_opening_that_cannot_be_gone_on_from_is_refused(llm, message, options):
    with pytest.raises(RequestError, match=r"messages\[1\].partial"):
        opened(llm, message, **options)


def test_deepseeks_prefix_is_partial(llm):
    partial = {"role": "assistant", "content": "It is", "reasoning_content": "Hmm"}
    both = (
        ChatTurn([*HELLO, partial | {key: True}], ChatOptions(), Sampling(), llm.vocabulary)
        for key in ("partial", "prefix")
    )
    assert len({tuple(conversation.prompt_ids) for conversation in both}) == 1
    for wrong in ([partial | {"prefix": True}, *HELLO], [*HELLO, partial | {"prefix": "yes"}]):
        with pytest.raises(RequestError, match=r"messages\[\d\].prefix"):
            ChatTurn(wrong, ChatOptions(), Sampling(), llm.vocabulary)


def test_turn_of_one_call_makes_no_second(llm):
    for seed in range(4):
        turn = llm.chat(
            HELLO, [TOOL], tool_choice="required", parallel_tool_calls=False, no_think=True, max_tokens=400, seed=seed
        )
        assert len(turn.tool_calls) == 1


def test_state_tells_how_busy_a_model_is_and_whether_it_lives(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024, read_ahead=False) as llm:
        assert llm.state().num_free_pages == llm.state().num_pages
        stream = llm.stream("abc", max_tokens=900, ignore_eos=True)
        next(stream)
        busy = llm.state()
        stream.close()
        llm.generate("abc", max_tokens=1)
        assert (busy.num_running, busy.num_waiting) == (1, 0) and busy.num_free_pages < busy.num_pages
        assert llm.state().num_running == 0
    with pytest.raises(EngineDeadError):
        llm.state()
