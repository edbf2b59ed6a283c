"""A program on the Python API that a type checker reads in strict mode (test_public_api.py); nobody runs it."""

import asyncio
from pathlib import Path

import kimi_cpu
from kimi_cpu import errors


def show(done: int, total: int) -> None:
    print(done, total)


async def later(llm: kimi_cpu.LLM) -> str | None:
    handle = llm.submit([{"role": "user", "content": "Hello"}], max_tokens=5)
    async for piece in handle:
        print(piece.content, piece.reasoning_content, piece.tool_calls)
    return (await handle).content


def main() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    with kimi_cpu.load("k2.gguf", context=32768, kv="int8", cache_memory="8GiB", progress=show) as llm:
        turn = llm.chat([{"role": "user", "content": "Hi"}], tools, temperature=0.5, think_budget=100)
        text: str | None = turn.content
        names: list[str] = [call["function"]["name"] for call in turn.tool_calls]
        print(text, names, turn.usage.total_tokens, turn.timings.decode_s, turn.message())
        for piece in llm.stream("Once", max_tokens=4, stop=["a", "b"], logit_bias={1: -100}):
            print(piece.content)
        raw: str = llm.generate(llm.tokenize("Once"), sampling=kimi_cpu.Sampling(temperature=0)).text
        print(raw, llm.logits([1, 2]).shape, llm.detokenize([1]), llm.notices, llm.needs.weights, llm.config.vocab_size)
        print([handle.result().text for handle in llm.samples("Once", 2)])
        print(llm.create_chat_completion([{"role": "user", "content": "Hi"}], max_tokens=4))
        session = llm.session()
        llm.chat([{"role": "user", "content": "Hi"}], session=session)
        session.save(Path("talk"))
        print(llm.load_session("talk").num_tokens, llm.state(), llm.chat_ids([{"role": "user", "content": "a"}]))
        talk = llm.conversation("talk", system="Be brief.")
        answer = talk.ask("Hello", tools, progress=show, response_format={"type": "json_object"})
        for branch in [talk.fork() for _ in range(8)]:
            print(branch.ask("More").content, branch.messages[-1]["content"])
        print(answer.reasoning_content, talk.undo(), talk.messages, talk.system, talk.notices, talk.session)
        for piece in talk.stream("More"):
            print(piece.finish_reason)
        talk.submit("And more").cancel()
        talk.save()
        print(asyncio.run(later(llm)))
    tokenizer = kimi_cpu.Tokenizer.load("k2.gguf")
    message = kimi_cpu.parse_output(tokenizer.encode("Hi"), tokenizer, tools)
    print(message.content, message.tool_calls, kimi_cpu.render_chat([{"role": "user", "content": "a"}], tools))
    try:
        print(kimi_cpu.convert("checkpoint", "k2.gguf", dense="bf16"))
    except errors.KimiError as e:
        print(e)


main()
