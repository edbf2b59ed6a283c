"""A conversation as the REPL holds it: messages, what was computed for them, and how answers are drawn."""

import os
from pathlib import Path

from ..config.field import Door
from ..config.fields import fields_at
from ..errors import RequestError
from ..llm import LLM, ChatCompletion, Generation
from .conversation_file import is_kept, load_conversation, save_conversation, sessions_folder

FILES = (".json", ".partial", ".journal")  # endings of what lies beside a conversation


class Talk:
    """One conversation. file: where it is kept after every turn, if anywhere."""

    def __init__(self, llm: LLM, file: Path | None, options: dict):
        """options: of LLM.chat. SessionError: the file cannot be read."""
        self._llm, self._file, self._options = llm, file, dict(options)
        self.session, self.messages = (llm.session(), []) if file is None else load_conversation(llm, file)
        self.last: ChatCompletion | None = None
        self._kept = file  # where it was saved last, or loaded from

    @property
    def system(self) -> str | None:
        """The system message."""
        first = self.messages[0] if self.messages else {}
        return first.get("content") if first.get("role") == "system" else None

    @system.setter
    def system(self, text: str) -> None:
        rest = [m for m in self.messages if m["role"] != "system"]
        self.messages = [{"role": "system", "content": text}, *rest] if text else rest

    @property
    def llm(self) -> LLM:
        return self._llm

    def ask(self, text: str) -> Generation:
        """Begins the answer to a message. KimiError: it cannot be had; then the message is not there either."""
        self.messages.append({"role": "user", "content": text})
        try:
            return self._llm.submit(self.messages, session=self.session, **self._options)
        except BaseException:
            self.messages.pop()
            raise

    def answered(self, turn: ChatCompletion) -> None:
        """Takes an answer in, whole or cut off, and saves the conversation if it has a file. OSError."""
        self.messages.append(turn.message())
        self.last = turn
        if self._file is not None:
            save_conversation(self.session, self.messages, self._file)

    def undo(self) -> str | None:
        """Forgets the last message and what came of it; returns its text, None when there was none."""
        for at in reversed(range(len(self.messages))):
            if self.messages[at]["role"] == "user":
                text = self.messages[at]["content"]
                del self.messages[at:]
                return text
        return None

    def reset(self) -> None:
        """Begins anew, with the same system message."""
        self.messages = [m for m in self.messages[:1] if m["role"] == "system"]
        self.session, self.last, self._kept = self._llm.session(), None, None

    def save(self, name: str, replace: bool = False) -> Path:
        """Keeps the conversation under a name, or in a file where it is a path. replace: another conversation that is
        there is lost. RequestError: there is one. ConfigError, OSError."""
        path = session_path(name)
        own = self._kept is not None and path.resolve() == self._kept.resolve()
        if not replace and not own and is_kept(path):
            raise RequestError(f"{name} exists; /save! {name} replaces it.")
        save_conversation(self.session, self.messages, path)
        self._kept = path
        return path

    def load(self, name: str) -> Path:
        """Goes on with a saved conversation. FileNotFoundError, SessionError."""
        path = session_path(name)
        if not path.exists():
            raise FileNotFoundError(2, "there is no such conversation; /sessions lists them", str(path))
        self.session, self.messages = load_conversation(self._llm, path)
        self.last, self._kept = None, path
        return path

    def options(self) -> dict:
        """What /set can change."""
        names = sorted({field.name for field in fields_at(Door.SET).values()})
        return {name: self._options.get(name) for name in names}

    def set(self, name: str, value: str) -> None:
        """Changes an option, named as on the command line or in the API; "none" gives its default back. RequestError:
        there is no such option or value."""
        known = fields_at(Door.SET)
        known |= {flag.lstrip("-"): field for field in known.values() for flag in field.flags}
        field = known.get(name.lstrip("-")) or known.get(name.lstrip("-").replace("-", "_"))
        if field is None:
            raise RequestError(f"There is no option {name!r}; /set lists them.")
        if value == "none" and "none" not in field.choices:
            self._options[field.name] = field.default
        else:
            self._options[field.name] = field.parsed(value)


def session_path(name: str) -> Path:
    """Where a conversation of a name lies; a name with a / is a path. RequestError: it is no name. ConfigError: there
    is no home."""
    if "/" in name:
        return Path(os.path.expanduser(name))
    if name in ("", ".", "..") or not name.isprintable() or name.endswith(FILES):
        raise RequestError(f"{name!r} is no name for a conversation; give letters and digits, or a path with a /.")
    return sessions_folder() / name
