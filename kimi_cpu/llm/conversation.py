"""A conversation that keeps what was computed for it, and can be saved and loaded."""

import os
from pathlib import Path

import numpy as np

from ..engine import EngineThread, Request
from ..engine import session as engine_session


def is_session_file(path: Path) -> bool:
    """Whether a file is what LLMSession.save writes, of whatever model, whole or not. OSError."""
    return engine_session.is_session(path)


class LLMSession:
    """Pass it to LLM.chat: tokens that this model generated before are recognised as such, and not computed again."""

    def __init__(self, thread: EngineThread, model_hash: str, inner: engine_session.Session | None = None):
        self._thread, self._model_hash = thread, model_hash
        self._inner = inner or engine_session.Session()

    @classmethod
    def load(cls, thread: EngineThread, model_hash: str, path: Path) -> "LLMSession":
        """See LLM.load_session."""
        return cls(thread, model_hash, thread.call(lambda engine: engine_session.load(engine.cache, path, model_hash)))

    @property
    def num_tokens(self) -> int:
        """Tokens of the conversation so far."""
        return len(self._inner.tokens.ids)

    def save(self, path: str | os.PathLike) -> None:
        """Writes tokens and their latents to one file, which is either the old one or the new one. ConfigError: there
        is a file that is no session, or none can be written. OSError."""
        inner, model_hash = self._inner, self._model_hash
        self._thread.call(lambda engine: engine_session.save(inner, engine.cache, Path(path), model_hash))

    def forms(self, prompt_ids: list[int]) -> np.ndarray:
        """See engine.session.Session.forms."""
        return self._inner.forms(prompt_ids)

    def follow(self, request: Request, num_tokens: int) -> None:
        """The conversation now is a request's prompt and num_tokens of its answer."""
        self._inner = engine_session.Session(request.tokens(0, request.num_prompt_tokens + num_tokens))
