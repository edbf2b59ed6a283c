"""The memory of reasoning."""

import json
import time

import pytest

from kimi_cpu.server.memory import ReasoningMemory

USER = {"role": "user", "content": "Weather?"}
ARGUMENTS = '{"city": "Rome"}'


def call(number: int = 0, arguments: str | dict = ARGUMENTS) -> dict:
    return {"id": f"functions.w:{number}", "type": "function", "function": {"name": "w", "arguments": arguments}}


def turn(*calls: dict, **fields) -> dict:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)} | fields


def restored(memory: ReasoningMemory, messages: list[dict]) -> list:
    return [m.get("reasoning_content") for m in memory.restored(messages)]


def test_reasoning_comes_back_whatever_the_client_did_to_spaces():
    memory = ReasoningMemory()
    memory.remember([USER], [call()], "Hmm")
    parts = {"role": "user", "content": [{"type": "text", "text": "Weather?"}]}
    for first, again in ((USER, call(arguments='{"city":"Rome"}')), (parts, call(arguments={"city": "Rome"}))):
        assert restored(memory, [{"role": "system", "content": "new"}, first, turn(again)])[-1] == "Hmm"


@pytest.mark.parametrize("call_id", ["functions_w_0", "toolu_01", "call_1", None, "functions.w:0"])
def test_reasoning_comes_back_whatever_the_client_calls_the_calls(call_id):
    memory = ReasoningMemory()
    memory.remember([USER], [call(0, '{"x": 1.0}'), call(1)], "first")
    calls = [call(0, '{"x":1}') | {"id": call_id}, call(1) | {"id": "other"}]
    result = {"role": "tool", "tool_call_id": call_id, "content": "sunny"}
    memory.remember([USER, turn(*calls), result], [call(2)], "second")
    loop = [USER, turn(*calls), {**result, "tool_call_id": "x"}, turn(call(7))]
    assert restored(memory, loop) == [None, "first", None, "second"]


def test_reasoning_comes_back_to_a_call_of_the_older_form():
    memory = ReasoningMemory()
    memory.remember([USER], [call()], "Hmm")
    older = {"role": "assistant", "content": None, "function_call": call()["function"]}
    assert restored(memory, [USER, older])[-1] == "Hmm"


def test_arguments_that_are_nested_without_end_are_another_call():
    memory = ReasoningMemory()
    memory.remember([USER], [call()], "Hmm")
    assert restored(memory, [USER, turn(call(arguments="[" * 100_000))])[-1] is None


def test_long_loop_is_read_in_time_that_grows_with_its_length():
    memory = ReasoningMemory()
    memory.remember([USER], [call()], "Hmm")
    began_s = time.perf_counter()
    memory.restored([USER, *[turn(call(i)) for i in range(20_000)]])
    assert time.perf_counter() - began_s < 10


def test_same_call_in_another_conversation_gets_nothing():
    memory = ReasoningMemory()
    memory.remember([USER], [call()], "secret")
    assert restored(memory, [{"role": "user", "content": "Other?"}, turn(call())])[-1] is None
    assert restored(memory, [USER, turn(call(arguments="{}"))])[-1] is None


def test_every_step_of_a_tool_loop_has_its_own():
    memory = ReasoningMemory()
    loop = [USER, turn(call(0)), {"role": "tool", "tool_call_id": "functions.w:0", "content": "x"}, turn(call(1))]
    memory.remember(loop[:1], [call(0)], "first")
    memory.remember(loop[:3], [call(1)], "second")
    assert restored(memory, loop) == [None, "first", None, "second"]


def test_what_the_client_sent_stands():
    memory = ReasoningMemory()
    memory.remember([USER], [call()], "Hmm")
    details = [{"type": "reasoning.text", "text": "mine"}]
    for name, own in {"reasoning_content": "mine", "reasoning": "mine", "reasoning_details": details}.items():
        message = turn(call(), **{name: own})
        assert memory.restored([USER, message])[-1] is message


def test_memory_is_bounded_and_forgets_the_longest_unused():
    memory = ReasoningMemory(max_bytes=25)
    calls = [call(arguments=json.dumps({"n": number})) for number in range(3)]
    for known in calls[:2]:
        memory.remember([USER], [known], "x" * 10)
    memory.restored([USER, turn(calls[0])])
    memory.remember([USER], [calls[2]], "x" * 10)
    assert [restored(memory, [USER, turn(known)])[-1] is not None for known in calls] == [True, False, True]
