"""Messages as they are typed, or as they come through a pipe. Three quotes enclose one of several lines."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from ..errors import ConfigError, RequestError
from ..files import open_output, output_path, private_directory, user_folder
from ..filetypes import decoded
from .telling import say

QUOTES = '"""'


class Lines(Protocol):
    """Where messages come from."""

    async def next(self) -> str | None:
        """The next message; None at the end of the input. KeyboardInterrupt: Ctrl-C on an empty line."""


class PipedLines:
    """A message a line."""

    async def next(self) -> str | None:
        """The next message; None at the end of the input. RequestError: it is no text in UTF-8."""
        text = _line_of_stdin()
        if text is None:
            return None
        while not is_whole(text) and (line := _line_of_stdin()) is not None:
            text += "\n" + line
        return without_quotes(text)


class TypedLines:
    """A line editor with a history file, unless KIMI_CPU_NO_HISTORY is set, and completion of commands."""

    def __init__(self, commands: Iterable[str]):
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter

        names = [f"/{name}" for name in (*commands, "exit")]
        self._session = PromptSession(
            history=_history(),
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


def _line_of_stdin() -> str | None:
    line = sys.stdin.buffer.readline()
    try:
        return decoded(line.rstrip(b"\r\n")) if line else None
    except ValueError as e:
        raise RequestError(f"stdin: {e}") from None


def _history():
    """Of what was typed, in a file; in memory where there is none to be written, and then stderr says so."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class UserHistory(FileHistory):
        def store_string(self, string: str) -> None:
            with suppress(OSError):  # a full disk costs the history, not the conversation
                super().store_string(string)

    if os.environ.get("KIMI_CPU_NO_HISTORY"):
        return InMemoryHistory()
    folder = user_folder("STATE")
    if folder is None:
        return InMemoryHistory()
    try:
        file = output_path(private_directory(folder) / "history")
        descriptor = open_output(file, private=True)
        os.fchmod(descriptor, 0o600)  # of a file that an earlier version made
        os.close(descriptor)
        return UserHistory(file)
    except OSError as e:
        say(f"what is typed is not kept: {e.filename}: {e.strerror}.")
    except ConfigError as e:
        say(f"what is typed is not kept: {e}")
    return InMemoryHistory()


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
