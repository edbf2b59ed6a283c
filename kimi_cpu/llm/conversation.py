"""A conversation: its messages, what was computed for them, and the two files that keep both."""

import json
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Protocol, Unpack, cast

import numpy as np

from ..engine import Engine, EngineClient, Request
from ..engine import session as engine_session
from ..errors import KimiError, RequestError, SessionError
from ..files import check_replaceable, output_path, private_directory, read_regular, replacing
from ..filetypes import decoded
from ..residency import ResidentExperts
from .generation import Generation, result_of
from .parameters import ChatKeywords, Messages, Tools, well_formed
from .results import ChatCompletion, JsonObject, Piece

MAX_MESSAGES_BYTES = 1 << 28  # of a file of messages
Answered = Callable[[ChatCompletion], None]


class Session:
    """The tokens of a conversation, and how each was computed. Pass it to LLM.chat with the messages, and nothing that
    the model has read or generated before is computed again. LLM.session makes one."""

    def __init__(
        self,
        engine: EngineClient,
        model_hash: str,
        residency: ResidentExperts | None,
        inner: engine_session.Session | None = None,
    ):
        """residency: has the heat of experts that is saved with it; None when all are in memory."""
        self._engine, self._model_hash, self._residency = engine, model_hash, residency
        self._inner = inner or engine_session.Session()

    def __repr__(self) -> str:
        return f"<Session, {self.num_tokens} tokens>"

    @property
    def num_tokens(self) -> int:
        """Tokens of the conversation so far."""
        return len(self._inner.tokens.ids)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Brings tokens and their latents to the disk, in one file, which holds either the old session or the new one
        whatever happens; with experts on disk, how much each was used of late as well. What it holds already is not
        written again. ConfigError: there is a file that is no session, or another process writes it. OSError."""
        inner, model_hash, residency = self._inner, self._model_hash, self._residency

        def save(engine: Engine) -> None:
            heat = b"" if residency is None else residency.heat_bytes()
            engine_session.save(inner, engine.cache, Path(path), model_hash, heat)

        self._engine.call(save)

    def load(self, path: str | os.PathLike[str]) -> "Session":
        """The session of a file, for the same model; the experts that it used most of late come to memory.
        SessionError, FileNotFoundError."""
        model_hash, residency = self._model_hash, self._residency

        def load(engine: Engine) -> engine_session.Session:
            found = engine_session.load(engine.cache, Path(path), model_hash)
            if residency is not None and found.saved is not None:
                residency.recall(found.saved.heat)
            return found

        return Session(self._engine, model_hash, residency, self._engine.call(load))

    def fork(self) -> "Session":
        """Another one that goes on from the same tokens."""
        return Session(self._engine, self._model_hash, self._residency, self._inner)

    def forms(self, prompt_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """See engine.session.Session.forms."""
        return self._inner.forms(prompt_ids)

    def follow(self, request: Request, num_tokens: int) -> None:
        """The conversation now is a request's prompt and num_tokens of its answer."""
        self._inner = self._inner.followed_by(request.tokens(0, request.num_prompt_tokens + num_tokens))


class Begin(Protocol):
    """Begins the next turn of messages; `answered` is called with it when it has been read to its end."""

    def __call__(
        self, messages: Messages, tools: Tools | None, session: Session, answered: Answered, options: ChatKeywords
    ) -> Generation[ChatCompletion]: ...


class Conversation:
    """Messages and what was computed for them. LLM.conversation makes one, or reads one from its files.

    messages: OpenAI's, the system's first if there is one; change them as you like. An answer is added to them, after
    what was asked, when it has been read to its end, also to an end by `cancel`. One that fails, or whose handle is
    dropped, leaves the conversation as it was. session: what was computed. path: where `save` writes, unless it is told
    otherwise. notices: sentences on what could not be used of the files. For one thread at a time; its forks are
    conversations of their own.
    """

    def __init__(self, begin: Begin, session: Session, path: str | os.PathLike[str] | None = None):
        """path: of a conversation that goes on, or that is to be. See LLM.conversation."""
        self._begin = begin
        self.path = None if path is None else Path(path)
        self.session = session
        self.messages: list[JsonObject] = []
        self.notices: tuple[str, ...] = ()
        self._open: weakref.ref[Generation[ChatCompletion]] | None = None  # the answer that came last
        if self.path is not None:
            self.messages = _load_messages(self.path)
            self.session, self.notices = _load_session(session, self.path)

    def __repr__(self) -> str:
        where = "" if self.path is None else f", {self.path}"
        return f"<Conversation, {len(self.messages)} messages, {self.session.num_tokens} tokens{where}>"

    @property
    def system(self) -> str | None:
        """The system message; None or an empty text removes it."""
        first = self.messages[0] if self.messages else {}
        return first.get("content") if first.get("role") == "system" else None

    @system.setter
    def system(self, text: str | None) -> None:
        rest = [m for m in self.messages if m["role"] != "system"]
        self.messages = [{"role": "system", "content": text}, *rest] if text else rest

    def ask(
        self,
        message: str | Messages,
        tools: Tools | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
        **options: Unpack[ChatKeywords],
    ) -> ChatCompletion:
        """The answer to a text of the user, or to messages, such as the results of the tools that were called.

        tools, progress, options and what it raises: as in LLM.chat. RequestError: an earlier answer is still coming.
        """
        return result_of(self.submit(message, tools, **options), progress)

    def stream(
        self, message: str | Messages, tools: Tools | None = None, **options: Unpack[ChatKeywords]
    ) -> Iterator[Piece]:
        """As `ask`, piece by piece; who stops reading ends the answer, and what there is of it stays."""
        return _closing(self.submit(message, tools, **options))

    def submit(
        self, message: str | Messages, tools: Tools | None = None, **options: Unpack[ChatKeywords]
    ) -> Generation[ChatCompletion]:
        """As `ask`, but returns at once with a handle to iterate, to await, to ask for its result, and to cancel."""
        self._require_answered()
        asked = well_formed([{"role": "user", "content": message}] if isinstance(message, str) else list(message))
        answered = partial(self._answered, asked)
        handle = self._begin([*self.messages, *asked], tools, self.session, answered, options)
        self._open = weakref.ref(handle)
        return handle

    def undo(self) -> str | None:
        """Forgets the user's last message and what came of it; returns its content, None when there was none."""
        for at in reversed(range(len(self.messages))):
            if self.messages[at]["role"] == "user":
                content = self.messages[at]["content"]
                del self.messages[at:]
                return content
        return None

    def fork(self) -> "Conversation":
        """A branch with the same past, of which nothing is computed again. It has no path."""
        branch = Conversation(self._begin, self.session.fork())
        branch.messages = deepcopy(self.messages)
        return branch

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Writes what was computed to a file, by default `path`, and the messages as JSON to the one beside it whose
        name has .json at its end.

        Both are their owner's alone; each is either the old one or the new one, whatever happens. What was computed is
        added to what the file holds: a turn costs its own size. RequestError: no path is known. ConfigError: there is a
        file that is something else, or another process writes it. OSError.
        """
        path = self.path if path is None else Path(path)
        if path is None:
            raise RequestError("The conversation has no path; name one.")
        private_directory(path.parent)
        check_replaceable(path, "session", engine_session.is_session, force=True)
        check_replaceable(_messages_path(path), "list of messages", _holds_messages, force=True)
        with replacing(_messages_path(path), private=True) as file:
            file.write(json.dumps(self.messages, ensure_ascii=False, indent=1).encode())
        self.session.save(path)

    def _answered(self, asked: list[JsonObject], turn: ChatCompletion) -> None:
        self.messages += [*asked, turn.message()]

    def _require_answered(self) -> None:
        """RequestError: an answer is still coming."""
        last = None if self._open is None else self._open()
        if last is None:
            return
        _read_rest(last)
        if not last.is_read:
            raise RequestError("An answer of this conversation is still coming; read it to its end, cancel it or fork.")


def check_conversation(path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Says before an answer what Conversation.save would say after it. inputs: files that are none of its two.
    ConfigError, OSError."""
    if path.parent.is_dir():
        for place in (path, _messages_path(path)):
            output_path(place, [file for file in inputs if file is not None])


def is_kept(path: Path) -> bool:
    """Whether there is a conversation in a file."""
    return path.exists() or _messages_path(path).exists()


def _load_messages(path: Path) -> list[JsonObject]:
    """SessionError: there is something else. OSError."""
    messages_path = _messages_path(path)
    try:
        return _read_messages(messages_path) if messages_path.exists() else []
    except ValueError:
        raise SessionError(f"{messages_path} is no list of messages; remove it, or name another session.") from None


def _load_session(empty: Session, path: Path) -> tuple[Session, tuple[str, ...]]:
    """The session of a file, and sentences on why it cannot be used; the empty one then, or where there is no file.
    SessionError: the file is something else, which must not be overwritten."""
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return empty, ()
    if not engine_session.is_session(path):
        raise SessionError(f"{path} is not a session file; name another one.")
    try:
        return empty.load(path), ()
    except SessionError as e:
        return empty, (str(e),)


def _messages_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_messages(path: Path) -> list[JsonObject]:
    """ValueError: they are none. OSError."""
    try:
        messages: object = json.loads(decoded(read_regular(path, MAX_MESSAGES_BYTES)))
    except RecursionError as e:
        raise ValueError from e
    if not isinstance(messages, list):
        raise ValueError
    items = cast("list[JsonObject]", messages)
    if not all(isinstance(m, dict) and "role" in m for m in items):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError
    return items


def _holds_messages(path: Path) -> bool:
    try:
        _read_messages(path)
    except ValueError:
        return False
    return True


def _closing(handle: Generation[ChatCompletion]) -> Iterator[Piece]:
    """The pieces; who stops reading ends the answer, which is read to that end."""
    try:
        yield from handle
    finally:
        handle.cancel()
        _read_rest(handle)


def _read_rest(handle: Generation[ChatCompletion]) -> None:
    """Reads what can be read without waiting; what failed is for those who wait for the answer."""
    try:
        handle.ready(0)
    except KimiError:
        return
