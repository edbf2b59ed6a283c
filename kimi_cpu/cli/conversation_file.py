"""A conversation on disk: what was computed for it in FILE, its messages as JSON in FILE.json."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, SessionError
from ..files import check_replaceable, output_path, private_directory, read_regular, replacing, user_folder
from ..filetypes import decoded
from .telling import warn

if TYPE_CHECKING:
    from ..llm import LLM
    from ..llm.conversation import LLMSession

MAX_MESSAGES_BYTES = 1 << 28


def check_conversation(path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Says before an answer what save_conversation would say after it. inputs: files that are none of its two.
    ConfigError, OSError."""
    if path.parent.is_dir():
        for place in (path, _messages_path(path)):
            output_path(place, [file for file in inputs if file is not None])


def load_conversation(llm: "LLM", path: Path) -> "tuple[LLMSession, list[dict]]":
    """Session and messages of a file; new ones where there is none. What was computed is lost, with a warning, when it
    cannot be used. SessionError: the file is something else, which must not be overwritten, or the messages cannot
    be read."""
    from ..llm.conversation import is_session_file

    messages_path = _messages_path(path)
    try:
        messages = _read_messages(messages_path) if messages_path.exists() else []
    except ValueError:
        raise SessionError(f"{messages_path} is no list of messages; remove it, or name another session.") from None
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return llm.session(), messages
    if not is_session_file(path):
        raise SessionError(f"{path} is not a session file; name another one.")
    try:
        return llm.load_session(path), messages
    except SessionError as e:
        warn([str(e)])
        return llm.session(), messages


def save_conversation(session: "LLMSession", messages: list[dict], path: Path) -> None:
    """Writes both files, which are their owner's alone; each is either the old one or the new one. ConfigError: one
    that is there is something else. OSError."""
    from ..llm.conversation import is_session_file

    private_directory(path.parent)
    check_replaceable(path, "session", is_session_file, force=True)
    check_replaceable(_messages_path(path), "list of messages", _holds_messages, force=True)
    with replacing(_messages_path(path), private=True) as file:
        file.write(json.dumps(messages, ensure_ascii=False, indent=1).encode())
    session.save(path)


def is_kept(path: Path) -> bool:
    """Whether there is a conversation in a file."""
    return path.exists() or _messages_path(path).exists()


def sessions_folder() -> Path:
    """Where conversations lie that have a name only. ConfigError: there is no home."""
    folder = user_folder("DATA")
    if folder is None:
        raise ConfigError("There is no home directory for conversations; name a path with a /, or set $XDG_DATA_HOME.")
    return folder / "sessions"


def saved_names() -> list[str]:
    """Names of the saved conversations."""
    try:
        return sorted(path.stem for path in sessions_folder().glob("*.json"))
    except (ConfigError, OSError):
        return []


def _messages_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_messages(path: Path) -> list[dict]:
    """ValueError: they are none. OSError."""
    try:
        messages = json.loads(decoded(read_regular(path, MAX_MESSAGES_BYTES)))
    except RecursionError as e:
        raise ValueError from e
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise ValueError
    return messages


def _holds_messages(path: Path) -> bool:
    try:
        _read_messages(path)
    except ValueError:
        return False
    return True
