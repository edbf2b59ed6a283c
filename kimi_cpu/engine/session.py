"""A conversation's tokens and their latents, kept from request to request and, in a file, from one run to the next."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BufferedReader
from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import SessionError
from ..files import check_replaceable, exclusive, naming, open_regular, output_path, replacing
from ..model import PAGE_TOKENS
from . import session_file
from .block_pool import Tokens, num_pages
from .prefix_cache import PrefixCache
from .request import EXPANDED
from .session_file import Change, Label, Saved


class Session:
    """The tokens of a conversation so far, and the form in which each was computed."""

    def __init__(self, tokens: Tokens | None = None, saved: Saved | None = None):
        """saved: what was found in its file, of which the next save then reads only what was added."""
        self.tokens = tokens or Tokens(np.zeros(0, np.int32), np.zeros(0, np.uint8))
        self.saved = saved

    def followed_by(self, tokens: Tokens) -> "Session":
        """The same conversation with other tokens, most of them its own."""
        return Session(tokens, None if self.saved is None else _sharing(self.saved, tokens))

    def forms(self, prompt_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Forms u8[n] of a prompt: the session's as far as the prompt is its beginning, expanded after."""
        ids = np.asarray(prompt_ids, np.int32)
        n = min(len(ids), len(self.tokens.ids))
        differs = self.tokens.ids[:n] != ids[:n]
        common = int(differs.argmax()) if differs.any() else n
        forms = np.full(len(ids), EXPANDED, np.uint8)
        forms[:common] = self.tokens.forms[:common]
        return forms


def save(session: Session, cache: PrefixCache, path: Path, model_hash: str, heat: bytes = b"") -> int:
    """Brings a session and those of its pages that the cache or the file holds to a file on the disk; returns the
    tokens whose latents are in it.

    On the engine's thread. A file that holds what the session begins with gets what is new and nothing else; it is
    written anew when a third of it would be of no use. It is its owner's alone, and holds either the old or the new
    session, whatever happens. heat: bytes that are kept with it. ConfigError: there is a file that is no session, or
    another process writes it. OSError: the disk says so.
    """
    check_replaceable(path, "session", is_session, force=True)
    path = output_path(path)
    file = _opened_to_append(path)
    if file is None:
        return _write(session, cache, path, model_hash, heat, None)
    with file:
        try:
            return _write(session, cache, path, model_hash, heat, file)
        except SessionError:  # of another model, or damaged: nothing of it stays
            return _write(session, cache, path, model_hash, heat, None)


def is_session(path: Path) -> bool:
    """Whether a file is what `save` writes, of whatever model, whole or not. OSError."""
    with open_regular(path) as file:
        return session_file.MAGIC.encode() in file.read(64)


def load(cache: PrefixCache, path: Path, model_hash: str) -> Session:
    """The session of a file; its pages are in the cache after. On the engine's thread.

    SessionError: not a session, of another model or cache type, truncated or corrupt; then nothing was taken in.
    Pages that the cache has no room for are left out; they will be computed again.
    """
    with _opened(path) as file:
        label = _label(cache, model_hash)
        saved = session_file.read(path, file, label)
        pages = session_file.contents(path, file, saved, label, len(saved.page_at))
        cache.restore(saved.tokens.part(0, saved.num_cached), pages)
    return Session(saved.tokens, saved)


def _write(
    session: Session, cache: PrefixCache, path: Path, model_hash: str, heat: bytes, file: BufferedReader | None
) -> int:
    """`save`, to an open file or, for None, in place of what is there. SessionError: the open file is of no use."""
    label = _label(cache, model_hash)
    if file is None:
        num_cached, new = cache.export(session.tokens)
        _replace(path, label, Change(session.tokens, num_cached, heat), new)
        return num_cached
    session.saved = saved = session_file.read(path, file, label, session.saved)
    session.saved = _sharing(saved, session.tokens)
    change, new = _change(saved, session.tokens, cache, heat)
    num_dead, size = session_file.num_dead(saved, change, label.page_bytes)
    if 3 * num_dead > size or (heat and saved.version < session_file.VERSION):
        kept = session_file.contents(path, file, saved, label, change.kept_pages)
        _replace(path, label, Change(session.tokens, change.num_cached, heat), chain(kept, new))
    else:
        with naming(path):
            session_file.append(file.fileno(), saved, change, new)
    return change.num_cached


def _sharing(saved: Saved, tokens: Tokens) -> Saved:
    """What a file holds, in memory as a part of the session's tokens where these begin with it: once."""
    count = len(saved.tokens.ids)
    return saved._replace(tokens=tokens.part(0, count)) if saved.tokens.num_common(tokens) == count else saved


def _change(saved: Saved, tokens: Tokens, cache: PrefixCache, heat: bytes) -> tuple[Change, Iterator[np.ndarray]]:
    """What saving a session to a file changes, and the content of its new pages.

    The pages of the common beginning stay, a last one that is not full until the cache has more of it.
    """
    kept_tokens = saved.tokens.num_common(tokens)
    num_usable = min(kept_tokens, saved.num_cached)
    num_full = num_usable // PAGE_TOKENS
    num_cached, new = cache.export(tokens, num_full)
    if num_cached > num_usable:
        return Change(tokens, num_cached, heat, kept_tokens, num_full), new
    return Change(tokens, num_usable, heat, kept_tokens, num_pages(num_usable)), iter(())


def _replace(path: Path, label: Label, change: Change, contents: Iterator[np.ndarray]) -> None:
    with replacing(path, private=True) as file:
        session_file.create(file.fileno(), label, change, contents)


def _label(cache: PrefixCache, model_hash: str) -> Label:
    return Label(model_hash, cache.pages.kind, cache.pages.page_bytes)


def _opened(path: Path) -> BufferedReader:
    """SessionError: it is no file that can be read; FileNotFoundError."""
    try:
        return open_regular(path)
    except FileNotFoundError:
        raise
    except OSError as e:
        raise SessionError(f"{path} cannot be read ({e.strerror}); name a session's file.") from e


def _opened_to_append(path: Path) -> BufferedReader | None:
    """A file that no other process writes, whose descriptor can be written; None where there is none, or none that may
    be changed. ConfigError: another process writes it. OSError."""
    if not path.exists():
        return None
    with suppress(PermissionError):
        return os.fdopen(exclusive(path, private=True), "rb")
    return None
