"""A conversation on disk: what was computed for it in FILE, its messages as JSON in FILE.json."""

import json
from pathlib import Path

from ..errors import ConfigError, SessionError
from ..files import read_regular, replacing
from ..filetypes import decoded
from ..llm import LLM
from ..llm.session import LLMSession, is_session_file
from ..machine import user_folder
from .display import warn

MAX_MESSAGES_BYTES = 1 << 28


def load_conversation(llm: LLM, path: Path) -> tuple[LLMSession, list[dict]]:
    """Session and messages of a file; new ones where there is none. What was computed is lost, with a warning, when it
    cannot be used. SessionError: the file is something else, which must not be overwritten, or the messages cannot
    be read."""
    messages_path = _messages_path(path)
    try:
        messages = (
            json.loads(decoded(read_regular(messages_path, MAX_MESSAGES_BYTES))) if messages_path.exists() else []
        )
        if not all(isinstance(message, dict) and "role" in message for message in messages):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
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


def save_conversation(session: LLMSession, messages: list[dict], path: Path) -> None:
    """Writes both files; each is either the old one or the new one. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(_messages_path(path)) as file:
        file.write(json.dumps(messages, ensure_ascii=False, indent=1).encode())
    session.save(path)


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
