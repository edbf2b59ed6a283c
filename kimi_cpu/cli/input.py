"""Text that a person gives: a prompt as an argument, a file or from a pipe, and messages as they are typed. Three
quotes enclose a message of several lines."""

import errno
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import click

from ..errors import ConfigError, RequestError
from ..files import open_output, output_path, private_directory, user_folder
from ..filetypes import decoded
from .display import say

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

MAX_BYTES = 64 << 20  # more than any context that a model here has
QUOTES = '"""'


def read_prompt(argument: str | None, option: str | None, file: Path | None) -> str:
    """The text that was given; "-", or nothing beside a pipe, stands for stdin. UsageError: none, several, or no
    UTF-8."""
    given = [x for x in (argument, option, file) if x is not None]
    if len(given) > 1:
        raise click.UsageError("Give the text once: as an argument, as an option or as a file.")
    if file is not None:
        try:
            return read_text(file)
        except ValueError as e:
            raise click.UsageError(f"{file}: {e}") from None
    text = argument if argument is not None else option
    if text == "-" or (text is None and not sys.stdin.isatty()):
        try:
            return decoded(_read(sys.stdin.buffer))
        except ValueError as e:
            raise click.UsageError(f"stdin: {e}") from None
    if text is None:
        raise click.UsageError("No text was given. Name it, pass -f FILE, or send it through a pipe.")
    return text


def read_text(path: Path) -> str:
    """The text of a file or of a pipe. ValueError: it is too long, or no UTF-8. OSError."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise OSError(errno.EINVAL, "this is no file and no pipe", str(path))
        return decoded(_read(file))


class Lines(Protocol):
    """A source of messages."""

    async def next(self) -> str | None:
        """The next message; None at the end of the input. KeyboardInterrupt: Ctrl-C on an empty line."""


class PipedLines:
    """Messages from a pipe, one a line."""

    async def next(self) -> str | None:
        """The next message; None at the end of the input. RequestError: it is no text in UTF-8."""
        text = _line_of_stdin()
        if text is None:
            return None
        while not is_whole(text) and (line := _line_of_stdin()) is not None:
            text += "\n" + line
        return without_quotes(text)


class TypedLines:
    """Messages from a line editor, with completion of commands, and with a history file unless KIMI_CPU_NO_HISTORY is
    set."""

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


def _read(file: BinaryIO) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB, which no model can read at once.")
    return data


def _line_of_stdin() -> str | None:
    line = sys.stdin.buffer.readline()
    try:
        return decoded(line.rstrip(b"\r\n")) if line else None
    except ValueError as e:
        raise RequestError(f"stdin: {e}") from None


def _history() -> "History":
    """The history of typed messages, in a file; in memory where none can be written, and then stderr says so."""
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
        os.fchmod(descriptor, 0o600)  # an earlier version made it for all
        os.close(descriptor)
        return UserHistory(file)
    except OSError as e:
        say(f"what is typed is not kept: {e.filename}: {e.strerror}.")
    except ConfigError as e:
        say(f"what is typed is not kept: {e}")
    return InMemoryHistory()


def _key_bindings() -> "KeyBindings":
    """Enter sends, unless quotes are open; Alt-Enter begins a new line."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: "KeyPressEvent") -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @keys.add("escape", "enter")
    def _(event: "KeyPressEvent") -> None:
        event.current_buffer.insert_text("\n")

    return keys
