"""The memory of reasoning."""

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


def test_same_id_in_another_conversation_gets_nothing():
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
    for name in ("reasoning_content", "reasoning"):
        message = turn(call(), **{name: "mine"})
        assert memory.restored([USER, message])[-1] is message


def test_memory_is_bounded_and_forgets_the_longest_unused():
    memory = ReasoningMemory(max_bytes=25)
    for number in range(2):
        memory.remember([USER], [call(number)], "x" * 10)
    memory.restored([USER, turn(call(0))])
    memory.remember([USER], [call(2)], "x" * 10)
    assert [restored(memory, [USER, turn(call(n))])[-1] is not None for n in range(3)] == [True, False, True]
