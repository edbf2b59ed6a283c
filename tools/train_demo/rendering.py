"""Examples as text: rendered with the package's own template, so that training sees what the engine sends."""

from collections.abc import Iterator

from kimi_cpu.chat import render_chat

from .curriculum import Example

TURN = "<|im_assistant|>assistant<|im_middle|>"
END = "<|im_end|>"
TEXT_END = "[EOS]"
EMPTY = "<think></think>"


def spans(example: Example) -> Iterator[tuple[str, bool]]:
    """The example as the model meets it, cut into parts that count and parts that do not. What the assistant writes
    counts, its end token too; turns of the history, whose thinking the template drops, do not; plain text counts. An
    empty thought at the end does not: it was asked for (`no_think`), and is nothing that the model should choose."""
    first, *_ = example.messages
    if first["role"] == "text":
        yield first["content"] + TEXT_END, True
        return
    *before, last = example.messages
    text = render_chat(before, example.tools) + f"<think>{last['reasoning_content']}</think>{last['content']}{END}"
    for i, part in enumerate(text.split(TURN)):
        if i == 0:
            yield part + TURN, False
            continue
        written, end, rest = part.partition(END)
        is_last = i == text.count(TURN)
        if is_last and written.startswith(EMPTY):
            yield EMPTY, False
            written = written.removeprefix(EMPTY)
        yield written + end, not written.startswith(EMPTY)
        if not is_last:
            yield rest + TURN, False
