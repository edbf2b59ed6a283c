"""Reasoning, content and tool calls out of the ids of one assistant's turn, as they come.

    turn    = [ <think> text </think> ] [ content ] [ section ] stop
    section = <|tool_calls_section_begin|> call { call } <|tool_calls_section_end|>
    call    = <|tool_call_begin|> functions.NAME:INDEX <|tool_call_argument_begin|> JSON <|tool_call_end|>

Only ids drive the machine: a control token typed as text is text. What the model gets wrong is read as the vendor's
and the known engines' users would expect; tests/chat/toolcall_golden.json lists it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from ..tokenizer import StreamDecoder, Tokenizer
from .tools import is_openai_id, read_header, tool_names

THINK_BEGIN, THINK_END = "<think>", "</think>"
SECTION_BEGIN, SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL_BEGIN, ARGUMENT_BEGIN, CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
MISSPELLED_BEGIN, MISSPELLED_END = (
    "<|tool_call_section_begin|>",
    "<|tool_call_section_end|>",
)  # text that the model writes at times

NO_CALL_WARNING = "No call could be read in the model's tool-call section; its text is given as content."


@dataclass(frozen=True)
class Delta:
    """The part of a turn that one id added. tool_calls: `{"index", "id", "type", "function": {"name", "arguments"}}`
    where a call begins, `{"index", "function": {"arguments"}}` where its arguments go on. The last delta of a turn
    carries finish_reason ("stop", "tool_calls", "length", or whatever else ended the generation) and the warnings."""

    content: str = ""
    reasoning_content: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    finish_reason: str | None = None
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return self != _NOTHING


_NOTHING = Delta()


@dataclass(frozen=True)
class Message:
    """An assistant's whole turn. reasoning_content and content are None where there is no text; the arguments of a call
    are the text that the model wrote, valid JSON or not. warnings: sentences on what could not be read as intended."""

    reasoning_content: str | None
    content: str | None
    tool_calls: tuple[dict[str, Any], ...]
    finish_reason: str
    warnings: tuple[str, ...] = ()


def parse_output(
    ids: Iterable[int],
    tokenizer: Tokenizer,
    tools: Iterable[str | Mapping[str, Any]] | None = None,
    thinking: bool = False,
    finish_reason: str | None = None,
) -> Message:
    """A whole turn, from its ids. The arguments are those of OutputParser and its finish. TokenizerError as in push."""
    parser = OutputParser(tokenizer, tools, thinking)
    return join([*map(parser.push, ids), parser.finish(finish_reason)])


class State(Enum):
    """The place in a turn at which the next id stands."""

    REASONING = auto()
    CONTENT = auto()
    SECTION = auto()  # between the calls of a section
    HEADER = auto()
    ARGUMENTS = auto()
    AFTER = auto()  # behind a section with calls: text is dropped


PROSE = (State.REASONING, State.CONTENT)
CALL = (State.HEADER, State.ARGUMENTS)


class OutputParser:
    """The state machine of one turn: push every generated id, then finish."""

    def __init__(
        self, tokenizer: Tokenizer, tools: Iterable[str | Mapping[str, Any]] | None = None, thinking: bool = False
    ):
        """tools: declared tools, as names or in OpenAI's form; None if they are unknown, so that any name will do;
        empty if none may be called, so that a call becomes content. thinking: the prompt ends inside <think>."""
        self._tokenizer = tokenizer
        self._names = tool_names(tools)
        self._markers = {token_id: text for text, token_id in tokenizer.special_tokens.items()}
        self._decoder = StreamDecoder(tokenizer)
        self.state = State.REASONING if thinking else State.CONTENT
        self._ended = False  # by a stop token
        self._warnings: list[str] = []
        self._num_calls = 0
        # Text held back
        self._spelled = ""  # prose that may turn out to be MISSPELLED_BEGIN
        self._space = ""  # whitespace that is dropped unless text follows: of reasoning, arguments, or before content
        self._has_content = False
        # The section and the call that are open
        self._section: list[str] = []  # its text
        self._rejected: list[str] = []  # calls in it that cannot be read
        self._calls_before = 0  # calls before it
        self._header = ""
        self._unread: list[str] | None = None  # arguments of a call that cannot be read
        self._has_arguments = False
        self._begin_delta()

    def push(self, token_id: int) -> Delta:
        """The part that one more id adds, perhaps an empty one. TokenizerError: no such id."""
        self._ended = token_id in self._tokenizer.eos_ids
        if self._tokenizer.is_special(token_id):
            self._text(self._decoder.flush())
            self._marker(self._markers.get(token_id, ""))
        else:
            self._text(self._decoder.push(token_id))
        return self._take_delta()

    def finish(self, finish_reason: str | None = None) -> Delta:
        """The part that was held back, and how the turn ended. finish_reason: the engine's "stop" or "length"; None:
        "length" if something is still open and no stop token came."""
        self._text(self._decoder.flush())
        reason = finish_reason or self._guess_reason()
        self._close_prose()
        if self.state is State.HEADER and reason == "length":
            self.state = State.SECTION  # half a header: nothing to tell
        self._close_call(cut=reason == "length")
        self._close_section()
        if reason == "stop" and self._num_calls:
            reason = "tool_calls"
        if self.state is State.CONTENT and not self._has_content:
            self._content += self._space
        return self._take_delta(reason, tuple(self._warnings))

    def _guess_reason(self) -> str:
        answered = self.state in (State.CONTENT, State.AFTER)
        called = self.state is State.SECTION and self._num_calls > self._calls_before
        return "stop" if self._ended or answered or called else "length"

    # Text

    def _text(self, text: str) -> None:
        if not text or self.state is State.AFTER:
            return
        if self.state in PROSE:
            self._prose(text)
        elif self.state is State.SECTION:
            self._section.append(text)
        elif self.state is State.HEADER:
            self._header += text
        elif self._unread is not None:
            self._unread.append(text)
        else:
            self._argument_text(text)

    def _prose(self, text: str) -> None:
        """Takes reasoning or content, and holds back an end that may yet be a misspelled marker."""
        text = self._spelled + text
        at = text.rfind("<")
        tail = text[at:] if at >= 0 else ""
        behind = tail.removeprefix(MISSPELLED_BEGIN)
        may_be_marker = MISSPELLED_BEGIN.startswith(tail) or (behind != tail and not behind.strip())
        self._spelled = tail if tail and may_be_marker else ""
        self._show(text[: len(text) - len(self._spelled)])

    def _show(self, text: str) -> None:
        """Adds text to the reasoning, without the whitespace at its end, or to the content, unless that is all
        whitespace so far."""
        if self.state is State.REASONING:
            self._reasoning += self._without_end(text)
        elif self._has_content or text.strip():
            self._content += self._space + text
            self._space, self._has_content = "", True
        else:
            self._space += text

    def _argument_text(self, text: str) -> None:
        if not self._has_arguments:
            text = text.lstrip()
        text = self._without_end(text)
        if text:
            self._has_arguments = True
            self._calls.append({"index": self._num_calls - 1, "function": {"arguments": text}})

    def _without_end(self, text: str) -> str:
        """Text behind the whitespace that was held back, without the whitespace at its end, which is held back now."""
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        return shown

    # Markers

    def _marker(self, marker: str) -> None:
        """Takes a control token; where it means nothing, it is dropped."""
        if self.state in PROSE:
            self._prose_marker(marker)
        elif marker == ARGUMENT_BEGIN and self.state is State.HEADER:
            self._begin_arguments()
        elif marker in (CALL_END, CALL_BEGIN, SECTION_BEGIN, SECTION_END):
            self._close_call()
            if marker == SECTION_END:
                self._close_section()
            elif marker != CALL_END:
                self._open_section(marker)

    def _prose_marker(self, marker: str) -> None:
        if marker == CALL_BEGIN and self._spelled.startswith(MISSPELLED_BEGIN):
            self._spelled = ""
        self._close_prose()
        if marker in (CALL_BEGIN, SECTION_BEGIN):
            self._space = ""
            self._open_section(marker)
        elif marker == THINK_BEGIN and self.state is State.CONTENT:
            self._space = ""
            self.state = State.REASONING
        elif marker == THINK_END and self.state is State.REASONING:
            self._space = ""
            self.state = State.CONTENT

    def _close_prose(self) -> None:
        """Shows text that was held back because it looked like a marker."""
        if self._spelled:
            text, self._spelled = self._spelled, ""
            self._show(text)

    # Calls

    def _open_section(self, marker: str) -> None:
        if self.state is not State.SECTION:
            self._section, self._rejected, self._calls_before = [], [], self._num_calls
        self._header = ""
        self.state = State.HEADER if marker == CALL_BEGIN else State.SECTION

    def _begin_arguments(self) -> None:
        self.state = State.ARGUMENTS
        self._space, self._has_arguments = "", False
        call = read_header(self._header, self._names)
        self._unread = [] if call is None else None
        if call is not None:
            call_id, name = call
            function = {"name": name, "arguments": ""}
            self._calls.append({"index": self._num_calls, "id": call_id, "type": "function", "function": function})
            self._num_calls += 1

    def _close_call(self, cut: bool = False) -> None:
        """Ends the call that is open, if one is: a call without arguments has an empty object, unless it was cut."""
        if self.state not in CALL:
            return
        if self.state is State.HEADER or self._unread is not None:
            self._reject(self._header + "".join(self._unread or ()))
        elif not self._has_arguments and not cut:
            self._argument_text("{}")
        self._header, self._unread, self._space = "", None, ""
        self.state = State.SECTION

    def _reject(self, text: str) -> None:
        if is_openai_id(self._header):
            self._warnings.append(f"A tool call was rejected, because its id names no tool: {text}")
        elif text.strip():
            self._rejected.append(text)
            self._section.append(text)

    def _close_section(self) -> None:
        """Ends the section that is open, if one is. Calls in it that cannot be read become warnings; if there are no
        others, the text of the section becomes content."""
        if self.state is not State.SECTION:
            return
        self.state = State.AFTER
        if self._num_calls > self._calls_before:
            self._warnings += [f"A tool call was rejected, because it names no tool: {text}" for text in self._rejected]
            return
        self.state = State.CONTENT
        text = "".join(self._section).replace(MISSPELLED_END, "")
        if text.strip():
            self._warnings.append(NO_CALL_WARNING)
            self._show(text)

    # Deltas

    def _begin_delta(self) -> None:
        self._content, self._reasoning, self._calls = "", "", []

    def _take_delta(self, finish_reason: str | None = None, warnings: tuple[str, ...] = ()) -> Delta:
        delta = Delta(self._content, self._reasoning, tuple(self._calls), finish_reason, warnings)
        self._begin_delta()
        return delta


def join(deltas: Iterable[Delta]) -> Message:
    """The turn that all deltas of one parser add up to."""
    content, reasoning, calls, reason, warnings = [], [], [], "stop", ()
    for delta in deltas:
        content.append(delta.content)
        reasoning.append(delta.reasoning_content)
        for call in delta.tool_calls:
            _add_call(calls, call)
        reason = delta.finish_reason or reason
        warnings += delta.warnings
    return Message("".join(reasoning) or None, "".join(content) or None, tuple(calls), reason, warnings)


def _add_call(calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    """Begins a call, or lengthens the arguments of the one at the delta's index."""
    if "id" in delta:
        calls.append({"id": delta["id"], "type": delta["type"], "function": dict(delta["function"])})
    else:
        calls[delta["index"]]["function"]["arguments"] += delta["function"]["arguments"]
