"""A conversation's tokens and their latents, kept from request to request and, in a file, from one run to the next.

File: one line of JSON (the header), padded with spaces to a multiple of 4,096 bytes; ids i32[n]; forms u8[n]; both
padded likewise; the pages, one after the other; a CRC-32 of each page as u32. The header holds that of ids and forms,
and at its end that of the header before it.
"""

import json
import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from ..errors import SessionError
from ..files import check_replaceable, open_regular, replacing
from .block_pool import Tokens, num_pages
from .prefix_cache import PrefixCache
from .request import ABSORBED, EXPANDED

MAGIC, VERSION = "kimi-cpu session", 2
ALIGNMENT = 4096
NUMBERS = ("num_tokens", "num_cached", "num_pages", "tokens_crc", "page_bytes")  # of the header


class Session:
    """The tokens of a conversation so far, and the form in which each was computed."""

    def __init__(self, tokens: Tokens | None = None):
        self.tokens = tokens or Tokens(np.zeros(0, np.int32), np.zeros(0, np.uint8))

    def forms(self, prompt_ids: list[int]) -> np.ndarray:
        """Forms u8[n] of a prompt: the session's as far as the prompt is its beginning, expanded after."""
        ids = np.asarray(prompt_ids, np.int32)
        n = min(len(ids), len(self.tokens.ids))
        differs = self.tokens.ids[:n] != ids[:n]
        common = int(differs.argmax()) if differs.any() else n
        forms = np.full(len(ids), EXPANDED, np.uint8)
        forms[:common] = self.tokens.forms[:common]
        return forms


def save(session: Session, cache: PrefixCache, path: Path, model_hash: str) -> int:
    """Writes a session and those of its pages that the cache still holds; returns the tokens whose latents are in it.

    On the engine's thread. The file is its owner's alone, and either the old one or the new one, whatever happens.
    ConfigError: there is a file that is no session, or none can be written. OSError: the disk says so.
    """
    check_replaceable(path, "session", is_session, force=True)
    num_cached, contents = cache.export(session.tokens)
    ids, forms = session.tokens.ids.tobytes(), session.tokens.forms.tobytes()
    header = {
        "magic": MAGIC,
        "version": VERSION,
        "model": model_hash,
        "cache": cache.pages.kind,
        "page_bytes": cache.pages.page_bytes,
        "num_tokens": len(session.tokens.ids),
        "num_cached": num_cached,
        "num_pages": num_pages(num_cached),
        "tokens_crc": crc32(ids + forms),
    }
    header["crc"] = crc32(json.dumps(header).encode())
    with replacing(path, private=True) as file:
        file.write(_padded(json.dumps(header).encode() + b"\n", b" "))
        file.write(_padded(ids + forms, b"\0"))
        checks: list[int] = []
        for page in contents:
            checks.append(crc32(page))
            file.write(page)
        file.write(np.asarray(checks, np.uint32).tobytes())
    return num_cached


def is_session(path: Path) -> bool:
    """Whether a file is what `save` writes, of whatever model, whole or not. OSError."""
    with open_regular(path) as file:
        return MAGIC.encode() in file.read(64)


def load(cache: PrefixCache, path: Path, model_hash: str) -> Session:
    """The session of a file; its pages are in the cache after. On the engine's thread.

    SessionError: not a session, of another model or cache type, truncated or corrupt; then nothing was taken in.
    Pages that the cache has no room for are left out; they will be computed again.
    """
    with _opened(path) as file:
        header = _header(path, file.readline(ALIGNMENT), model_hash, cache)
        n, num_saved, page_bytes = header["num_tokens"], header["num_pages"], header["page_bytes"]
        body = ALIGNMENT + _up(5 * n)  # 4 bytes an id, 1 a form
        if os.fstat(file.fileno()).st_size != body + num_saved * (page_bytes + 4):
            raise SessionError(f"{path} is truncated; the conversation starts afresh.")
        file.seek(ALIGNMENT)
        texts = np.frombuffer(file.read(5 * n), np.uint8)
        if len(texts) != 5 * n or crc32(texts) != header["tokens_crc"] or texts[4 * n :].max(initial=0) > ABSORBED:
            raise SessionError(f"{path} is corrupt (its tokens); the conversation starts afresh.")
        tokens = Tokens(texts[: 4 * n].view(np.int32).copy(), texts[4 * n :].copy())
        file.seek(body + num_saved * page_bytes)
        checks = np.frombuffer(file.read(4 * num_saved), np.uint32)
        file.seek(body)
        cache.restore(tokens.part(0, header["num_cached"]), _contents(path, file, checks, page_bytes))
    return Session(tokens)


def _opened(path: Path) -> BufferedReader:
    """SessionError: it is no file that can be read; FileNotFoundError."""
    try:
        return open_regular(path)
    except FileNotFoundError:
        raise
    except OSError as e:
        raise SessionError(f"{path} cannot be read ({e.strerror}); name a session's file.") from e


def _contents(path: Path, file: BufferedReader, checks: np.ndarray, page_bytes: int) -> Iterator[np.ndarray]:
    """The pages of a file, which is read from where they begin; each is good until the next one. SessionError."""
    page = np.empty(page_bytes, np.uint8)
    for number, check in enumerate(checks):
        if file.readinto(page) != page_bytes or crc32(page) != check:
            raise SessionError(f"{path} is corrupt (page {number}); the conversation starts afresh.")
        yield page


def _header(path: Path, line: bytes, model_hash: str, cache: PrefixCache) -> dict[str, Any]:
    """The fields of a file's first line, checked. SessionError."""
    try:
        header: dict[str, Any] = json.loads(line)
        is_known = header["magic"] == MAGIC
    except (ValueError, TypeError, KeyError, RecursionError):
        header, is_known = dict[str, Any](), False
    if not is_known:
        raise SessionError(
            f"{path} is not a session file, or its beginning is damaged; the conversation starts afresh."
        )
    if header.get("version") != VERSION:
        raise SessionError(
            f"{path} has session format {str(header.get('version'))[:20]}, this program knows {VERSION}; "
            "the conversation starts afresh."
        )
    crc = header.pop("crc", None)
    if crc != crc32(json.dumps(header).encode()):
        raise SessionError(f"{path} is corrupt (its header); the conversation starts afresh.")
    numbers: list[Any] = [header.get(name) for name in NUMBERS]
    fits = all(type(number) is int and number >= 0 for number in numbers) and (
        numbers[1] <= numbers[0] and numbers[2] == num_pages(numbers[1])
    )
    if not fits or not all(isinstance(header.get(name), str) for name in ("model", "cache")):
        raise SessionError(f"{path} is corrupt (its header contradicts itself); the conversation starts afresh.")
    if header["model"] != model_hash:
        raise SessionError(f"{path} belongs to another model; the conversation starts afresh.")
    if (header["cache"], header["page_bytes"]) != (cache.pages.kind, cache.pages.page_bytes):
        raise SessionError(
            f"{path} was saved with --kv {header['cache'][:20]}; load the model with the same, "
            "or the conversation starts afresh."
        )
    return header


def _up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _padded(data: bytes, fill: bytes) -> bytes:
    return data.ljust(_up(len(data)), fill)
