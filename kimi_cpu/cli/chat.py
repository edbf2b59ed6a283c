"""kimi-cpu chat: a conversation on a terminal, or from a pipe. Lines in, answers and the effects of commands out."""

import asyncio
import inspect
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.field import Door
from ..config.fields import fields_at
from ..errors import ConfigError, EngineDeadError, Interrupted, KimiError, RequestError
from ..files import user_folder
from .display import Display, ending, figures, say, warn
from .input import Lines, PipedLines, TypedLines, read_text
from .interrupts import endings, on_signals
from .options import (
    conversation_options,
    loading_of,
    model_options,
    require_model,
    reuse_options,
    sampling_options,
    thinking_of,
)
from .trajectories import report_lines

if TYPE_CHECKING:
    from ..llm import LLM, ChatCompletion, Conversation, Generation

ANSWER_NOW = b"\x14"  # Ctrl-T
FILES = (".json", ".partial", ".journal")  # endings of the files beside a conversation
HELP = """\
/help            this list
/reset           begin anew; the system message stays
/undo            forget the last message and its answer
/retry           have the last message answered again
/system [TEXT]   show or set the system message; "" removes it
/set [NAME N]    show or set how answers are drawn: temp, top-p, max-tokens, think-budget, seed, …
/read FILE       put a text file before the next message
/save NAME       keep the conversation; /save! NAME replaces another one
/load NAME       go on with a kept one
/sessions        list those that are kept
/stats           figures of the last answer
/exit            leave"""


@click.command("chat")
@conversation_options
@model_options
@reuse_options
@sampling_options
def chat_command(
    system: str | None, session: Path | None, hide_thinking: bool, model: Path | None, **options: Any
) -> None:
    """Hold a conversation. What was computed for earlier turns is not computed again.

    Lines that begin with / are commands; /help lists them. Alt-Enter begins a new line, and so does Enter after three
    quotes, until they are closed. While an answer comes, Ctrl-T ends the thinking ("answer now") and Ctrl-C stops the
    answer and keeps it; Ctrl-C at an empty prompt leaves (exit code 130), and so do Ctrl-D and /exit (0). From a pipe,
    each line is a message. Saved conversations lie in $XDG_DATA_HOME/kimi-cpu/sessions, the history of what was typed
    in $XDG_STATE_HOME/kimi-cpu/history (none with KIMI_CPU_NO_HISTORY=1); only you can read them.

    \b
    kimi-cpu chat -m k2.gguf
    kimi-cpu chat -m k2.gguf --session talk --think-budget 4000
    printf '%s\\n' "What is 17 + 25?" "And twice that?" | kimi-cpu chat -m k2.gguf
    """
    thinking = thinking_of(options)
    if session is not None:
        from ..llm import check_conversation

        check_conversation(session, [model])
    path = require_model(model)
    loading = loading_of(options)
    from .loading import load_model

    with load_model(path, **loading) as llm:
        talk = llm.conversation(session, system)
        warn(talk.notices)
        asyncio.run(Repl(llm, talk, AnswerOptions(options | thinking), hide_thinking).run())


class Repl:
    """The loop: reads messages and commands until the input ends, or /exit."""

    def __init__(self, llm: "LLM", talk: "Conversation", options: "AnswerOptions", hide_thinking: bool):
        """talk: saved in its file after every turn, if it has one."""
        self._llm, self._talk, self._options, self._hide_thinking = llm, talk, options, hide_thinking
        self._file = self._kept = talk.path  # _kept: where the conversation was saved last, or loaded from
        self._last: ChatCompletion | None = None
        self._commands: dict[str, Callable[..., None]] = {
            "help": lambda: click.echo(HELP, err=True),
            "reset": self._reset,
            "undo": self._undo,
            "retry": self._retry,
            "system": self._system,
            "set": self._set,
            "read": self._read,
            "save": self._save,
            "save!": lambda name: self._save(name, replace=True),
            "load": self._load,
            "sessions": lambda: click.echo("\n".join(saved_names()) or "none are saved", err=True),
            "stats": self._stats,
        }
        self._attached = ""  # text of files for the next message
        self._again: str | None = None  # a message to be sent without being typed

    async def run(self) -> None:
        """Runs until the end of the input. KeyboardInterrupt: Ctrl-C at an empty prompt."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's waits for a task that reads a line
        lines: Lines = TypedLines(self._commands) if sys.stdin.isatty() else PipedLines()
        while True:
            text, self._again = self._again, None
            if text is None:
                text = await lines.next()
            if text is None or text.strip() in ("/exit", "/quit"):
                return
            if text.startswith("/"):
                self._command(text[1:])
            elif text.strip():
                await self._answer(text)

    def _command(self, line: str) -> None:
        name, _, rest = line.strip().partition(" ")
        if name not in self._commands:
            say(f"there is no command /{name}; /help lists them.")
            return
        try:
            arguments = [rest.strip()] if name == "system" and rest else shlex.split(rest)
            command = self._commands[name]
            inspect.signature(command).bind(*arguments)
        except (TypeError, ValueError):
            say(f"/{name} takes something else; /help says what.")
            return
        try:
            command(*arguments)
        except (KimiError, ValueError) as e:
            say(" ".join(str(e).split()))
        except OSError as e:
            say(f"{e.filename}: {e.strerror}")

    async def _answer(self, text: str) -> None:
        try:
            handle = self._talk.submit(self._attached + text, **self._options.values)
        except KimiError as e:
            say(str(e))
            return
        self._attached = ""
        display = Display(handle.num_prompt_tokens, self._hide_thinking)
        left_by = None

        def leave(name: str) -> None:
            nonlocal left_by
            left_by = name
            handle.cancel()

        with on_signals(endings(), leave), _stopped_by_keys(handle):
            try:
                async for piece in handle:
                    display.push(piece)
            except EngineDeadError:
                raise
            except KimiError as e:  # of this answer alone
                say(f"{e} The message is forgotten.")
                return
            finally:
                display.finish()
        self._last = turn = handle.result()
        warn(turn.warnings)
        for line in [] if turn.heavy is None else report_lines(turn.heavy):
            say(line)
        if (why := ending(turn, self._llm.context)) is not None:
            say(why)
        try:
            if self._file is not None:
                self._talk.save(self._file)
        except (ConfigError, OSError) as e:
            say(f"not saved: {f'{e.filename}: {e.strerror}' if isinstance(e, OSError) else e}")
        if left_by is not None:
            raise Interrupted(f"Stopped by {left_by}.")

    def _reset(self) -> None:
        self._talk = self._llm.conversation(system=self._talk.system)
        self._last = self._kept = None

    def _undo(self) -> None:
        text = self._talk.undo()
        say("there is nothing to undo." if text is None else f"forgotten: {text.splitlines()[0][:60]}")

    def _retry(self) -> None:
        self._again = self._talk.undo()
        if self._again is None:
            say("there is no message to answer again.")

    def _system(self, text: str | None = None) -> None:
        if text is None:
            click.echo(self._talk.system or "there is no system message", err=True)
        else:
            self._talk.system = "" if text in ('""', "''") else text

    def _set(self, name: str | None = None, value: str | None = None) -> None:
        if name is not None:
            self._options.set(name, "" if value is None else value)
            return
        for key, current in self._options.settable().items():
            text = " ".join(map(repr, current)) if isinstance(current, tuple) else current
            click.echo(f"{key.replace('_', '-'):15} {'none' if text in (None, '') else text}", err=True)

    def _read(self, file: str) -> None:
        text = read_text(Path(os.path.expanduser(file)))
        self._attached += f"{Path(file).name}:\n```\n{text}\n```\n\n"
        say(f"{file} ({len(text):,} characters) goes with the next message.")

    def _save(self, name: str, replace: bool = False) -> None:
        """Keeps the conversation under a name, or in the file of a path. replace: in place of another conversation that
        is there. RequestError: there is one. ConfigError, OSError."""
        from ..llm import is_kept

        path = conversation_path(name)
        own = self._kept is not None and path.resolve() == self._kept.resolve()
        if not replace and not own and is_kept(path):
            raise RequestError(f"{name} exists; /save! {name} replaces it.")
        self._talk.save(path)
        self._kept = path
        say(f"saved in {path}")

    def _load(self, name: str) -> None:
        path = conversation_path(name)
        if not path.exists():
            raise FileNotFoundError(2, "there is no such conversation; /sessions lists them", str(path))
        self._talk = self._llm.conversation(path)
        self._last, self._kept = None, path
        warn(self._talk.notices)
        say(f"{path}: {sum(m['role'] == 'user' for m in self._talk.messages)} messages so far")

    def _stats(self) -> None:
        if self._last is None:
            say("nothing was answered yet.")
            return
        for line in figures(self._llm, self._last):
            say(line)
        say(f"conversation {self._talk.session.num_tokens} of {self._llm.context} tokens")


class AnswerOptions:
    """The options with which answers are drawn, which /set shows and changes."""

    def __init__(self, values: dict[str, Any]):
        """values: keywords of LLM.chat."""
        self.values = dict(values)

    def settable(self) -> dict[str, Any]:
        """Name -> value of those that /set can change."""
        names = sorted({field.name for field in fields_at(Door.SET).values()})
        return {name: self.values.get(name) for name in names}

    def set(self, name: str, value: str) -> None:
        """Changes one, named as on the command line or in the API; "none" gives its default back. RequestError: there
        is no such option or value."""
        known = fields_at(Door.SET)
        known |= {flag.lstrip("-"): field for field in known.values() for flag in field.flags}
        field = known.get(name.lstrip("-")) or known.get(name.lstrip("-").replace("-", "_"))
        if field is None:
            raise RequestError(f"There is no option {name!r}; /set lists them.")
        if value == "none" and "none" not in field.choices:
            self.values[field.name] = field.default
        else:
            self.values[field.name] = field.parsed(value)


def conversation_path(name: str) -> Path:
    """The file of a conversation of a name; a name with a / is a path. RequestError: it is no name. ConfigError: there
    is no home."""
    if "/" in name:
        return Path(os.path.expanduser(name))
    if name in ("", ".", "..") or not name.isprintable() or name.endswith(FILES):
        raise RequestError(f"{name!r} is no name for a conversation; give letters and digits, or a path with a /.")
    return _sessions_folder() / name


def saved_names() -> list[str]:
    """Names of the saved conversations."""
    try:
        return sorted(path.stem for path in _sessions_folder().glob("*.json"))
    except (ConfigError, OSError):
        return []


def _sessions_folder() -> Path:
    """The folder of the conversations that have a name only. ConfigError: there is no home."""
    folder = user_folder("DATA")
    if folder is None:
        raise ConfigError("There is no home directory for conversations; name a path with a /, or set $XDG_DATA_HOME.")
    return folder / "sessions"


@contextmanager
def _stopped_by_keys(handle: "Generation[Any]") -> Iterator[None]:
    """While an answer comes: Ctrl-C cancels it, and on a terminal Ctrl-T ends the thinking."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, handle.cancel)
    try:
        with _keys(loop, lambda keys: ANSWER_NOW in keys and handle.answer_now()):
            yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _keys(loop: asyncio.AbstractEventLoop, pressed: Callable[[bytes], object]) -> Iterator[None]:
    """Calls pressed with the keys that are typed, which are not echoed; does nothing where stdin is no terminal."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)
    loop.add_reader(terminal, lambda: pressed(os.read(terminal, 1024)))
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        with suppress(termios.error):  # it has hung up
            termios.tcsetattr(terminal, termios.TCSANOW, before)
