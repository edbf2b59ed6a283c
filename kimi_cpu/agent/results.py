"""Results of tools as the model sees them: text, at most so many tokens of it, and a tool to read on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic_core import to_json

from ..files import private_directory, replacing
from ..tokenizer import without_surrogates
from .records import Returned, Status
from .tool import Tool, tool_of
from .transcript import Call, Transcript

if TYPE_CHECKING:
    from ..llm import TextModel

MOST_TOKENS = 4096  # of the results of a turn together, or an eighth of the context
CHARS_A_TOKEN = 16  # more than any text has
HEAD = 2 / 3  # of a long result's tokens; the rest is its end
READ_ON = "read_result"
MAX_CHARS = 100_000_000  # of a result that is kept; what has more was not meant to be read


class Results:
    """The results of a run. folder: of those that are too long to be shown whole."""

    def __init__(self, llm: "TextModel", transcript: Transcript, folder: Path):
        self._llm, self._transcript, self._folder = llm, transcript, folder
        self._most = min(MOST_TOKENS, llm.context // 8)

    def returned(self, call: Call, status: Status, text: str, seconds: float, num_calls: int = 1) -> Returned:
        """The record of a result. num_calls: those of the turn, which share the room. OSError: a long one cannot be
        kept."""
        text = text[:MAX_CHARS]
        clipped = self._clipped(text, max(self._most // num_calls, 32))
        content, file = text, None
        if clipped is not None:
            file = f"{call.id}.txt"
            private_directory(self._folder)
            with replacing(self._folder / file, private=True) as out:
                out.write(text.encode())
            head, tail = clipped
            left_out = len(text) - len(head) - len(tail)
            how = f'{left_out:,} characters are left out; {READ_ON}(call="{call.id}", start={len(head)}) reads on'
            content = f"{head}\n[… {how} …]\n{tail}"
        return Returned(
            call=call.id,
            name=call.name,
            status=status,
            content=content,
            chars=len(text),
            file=file,
            seconds=seconds,
        )

    def reading_tool(self) -> Tool:
        """The tool with which the model reads on in a result of this run."""

        def read_result(
            call: Annotated[str, Field(description="Which result, as in the note that it was cut.")],
            start: Annotated[int, Field(ge=0, description="The character to begin at.")] = 0,
        ) -> str:
            """Read on in a long result that was cut."""
            returned = self._transcript.returned.get(call)
            if returned is None:
                raise LookupError(f"there is no result {call!r}")
            text = returned.content
            if returned.file is not None:
                text = (self._folder / returned.file).read_text("utf-8")
            part = self._beginning(text[start:], self._most * 3 // 4)
            end = start + len(part)
            rest = f"{READ_ON}(call={json.dumps(call)}, start={end}) reads on" if end < len(text) else "its end"
            return f"{part}\n[{start:,} to {end:,} of {len(text):,} characters; {rest}]"

        return tool_of(read_result)

    def _clipped(self, text: str, most: int) -> tuple[str, str] | None:
        """The beginning and the end of a text of more than so many tokens; None for one that has no more."""
        if len(text) <= most * CHARS_A_TOKEN and len(self._llm.tokenize(text, special=False)) <= most:
            return None
        head = self._beginning(text, int(most * HEAD))
        tail = text[-most * CHARS_A_TOKEN :]
        ids = self._llm.tokenize(tail, special=False)[-int(most * (1 - HEAD)) :]
        return head, self._llm.detokenize(ids).lstrip("\ufffd")

    def _beginning(self, text: str, most: int) -> str:
        """As much of a text's beginning as so many tokens hold."""
        ids = self._llm.tokenize(text[: most * CHARS_A_TOKEN], special=False)
        part = self._llm.detokenize(ids[:most])
        return part if len(ids) <= most else part.rstrip("\ufffd")


def text_of(result: object) -> str:
    """The text of what a tool returned: a string as it is, nothing as "done", anything else as JSON; bytes are said
    and not shown."""
    if result is None:
        return "done"
    if isinstance(result, bytes | bytearray | memoryview):
        return f"[{len(result):,} bytes that are no text]"
    if isinstance(result, str):
        return without_surrogates(result)
    return to_json(result, fallback=_fallback, inf_nan_mode="constants").decode()


def _fallback(value: Any) -> str:
    return without_surrogates(str(value))
