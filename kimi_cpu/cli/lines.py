"""Messages as they are typed, or as they come through a pipe. Three quotes enclose one of several lines."""

import os
import sys
from collections.abc import Iterable
from typing import Protocol

from .conversation_file import state_home

QUOTES = '"""'


class Lines(Protocol):
    """Where messages come from."""

    async def next(self) -> str | None:
        """The next message; None at the end of the input. KeyboardInterrupt: Ctrl-C on an empty line."""


class PipedLines:
    """A message a line."""

    async def next(self) -> str | None:
        """The next message; None at the end of the input."""
        line = sys.stdin.readline()
        if not line:
            return None
        text = line.rstrip("\n")
        while not is_whole(text) and (line := sys.stdin.readline()):
            text += "\n" + line.rstrip("\n")
        return without_quotes(text)


class TypedLines:
    """A line editor with a history file, unless KIMI_CPU_NO_HISTORY is set, and completion of commands."""

    def __init__(self, commands: Iterable[str]):
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory, InMemoryHistory

        if os.environ.get("KIMI_CPU_NO_HISTORY"):
            history = InMemoryHistory()
        else:
            state_home().mkdir(parents=True, exist_ok=True)
            history = FileHistory(state_home() / "history")
        names = [f"/{name}" for name in (*commands, "exit")]
        self._session = PromptSession(
            history=history,
            multiline=True,
            key_bindings=_key_bindings(),
            completer=WordCompleter(names, sentence=True),
            complete_while_typing=False,
            prompt_continuation="... ",
        )

    async def next(self) -> str | None:
        """The next message; None at Ctrl-D. KeyboardInterrupt: Ctrl-C on an empty line."""
        while True:
            try:
                return without_quotes(await self._session.prompt_async(">>> "))
            except EOFError:
                return None
            except KeyboardInterrupt:
                if not self._session.default_buffer.text:
                    raise


def is_whole(text: str) -> bool:
    """Whether quotes that were opened are closed."""
    stripped = text.strip()
    return not stripped.startswith(QUOTES) or (len(stripped) >= 2 * len(QUOTES) and stripped.endswith(QUOTES))


def without_quotes(text: str) -> str:
    """The text inside of three quotes."""
    stripped = text.strip()
    if not stripped.startswith(QUOTES):
        return text
    return stripped.removeprefix(QUOTES).removesuffix(QUOTES).strip("\n")


def _key_bindings():
    """Enter sends, unless quotes are open; Alt-Enter begins a new line."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _(event):
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @keys.add("escape", "enter")
    def _(event):
        event.current_buffer.insert_text("\n")

    return keys
