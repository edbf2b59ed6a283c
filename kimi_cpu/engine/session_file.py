"""The file of a session, which a save adds to: new pages and an index behind what is there, then a slot that names it.

    block 0    the header: one line of JSON, padded with spaces
    block 1, 2 a slot each: serial number u64, place of an index, CRC-32 u32 of both
    saves      pages, one after the other, and right behind them their index

A block has 4,096 bytes. A place is where an index begins u64, its bytes u64 and their CRC-32 u32. An index holds the
place of the index before it, how many tokens and pages of that one's stay, the tokens in all and those of them whose
latents are there (u64 each), then for what is new: ids i32, forms u8, and a CRC-32 u32 of each page; from format 4 on
there follow bytes that whoever saves understands (heat of experts). All numbers are little-endian.

The slot of the higher serial number counts. A save writes the other one, when its pages and its index have reached the
disk: whatever ends it leaves what was there before. What lies behind the newest index was never finished, and is cut
off by the next save.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import numpy as np

from ..errors import SessionError
from .block_pool import Tokens, num_pages
from .request import ABSORBED

MAGIC, VERSION = "kimi-cpu session", 4
WITHOUT_HEAT = 3  # the format before
BLOCK = 4096
DATA_AT = 3 * BLOCK  # where the first save begins
PLACE, SLOT, INDEX = Struct("<QQI"), Struct("<QQQII"), Struct("<QQIQQQQ")


class Label(NamedTuple):
    """What the pages of a file belong to: a model's hash, a type of cache, and the bytes of a page."""

    model: str
    cache: str
    page_bytes: int


class Place(NamedTuple):
    """Where an index lies."""

    at: int
    num_bytes: int
    crc: int

    @property
    def end(self) -> int:
        return self.at + self.num_bytes


class Saved(NamedTuple):
    """A session as a save has left it: its tokens, how many of them have latents, and where their pages lie."""

    tokens: Tokens
    num_cached: int
    page_at: np.ndarray  # i64[num_pages(num_cached)]
    page_crc: np.ndarray  # u32[num_pages(num_cached)]
    heat: bytes
    version: int  # of the file's format
    serial: int
    place: Place


class Change(NamedTuple):
    """A save: the session's tokens, how many of them have latents, heat, and what stays of the save before it."""

    tokens: Tokens
    num_cached: int
    heat: bytes
    kept_tokens: int = 0
    kept_pages: int = 0

    @property
    def num_new_pages(self) -> int:
        return num_pages(self.num_cached) - self.kept_pages


class _Index(NamedTuple):
    before: Place
    kept_tokens: int
    kept_pages: int
    num_tokens: int
    num_cached: int
    tokens: Tokens
    page_at: np.ndarray
    page_crc: np.ndarray
    heat: bytes


Part = TypeVar("Part", _Index, Saved)


def create(descriptor: int, label: Label, change: Change, contents: Iterable[np.ndarray]) -> None:
    """Writes a file from its beginning; `change` keeps nothing. contents: all pages, u8[page_bytes]. OSError."""
    header: dict[str, Any] = {"magic": MAGIC, "version": VERSION, **label._asdict()}
    header["crc"] = crc32(json.dumps(header).encode())
    _write(descriptor, (json.dumps(header).encode() + b"\n").ljust(BLOCK, b" ") + bytes(2 * BLOCK), 0)
    place = _write_save(descriptor, DATA_AT, Place(0, 0, 0), change, contents)
    _write_slot(descriptor, 1, place)


def append(descriptor: int, saved: Saved, change: Change, contents: Iterable[np.ndarray]) -> None:
    """Adds a save to a file that holds `saved`, and brings it to the disk. contents: the new pages.

    An exception, of `contents` as well, or the death of the process leaves the file holding what it held, or what it is
    to hold if it came after all was written.
    """
    end = saved.place.end
    try:
        os.ftruncate(descriptor, end)  # what was never finished
        place = _write_save(descriptor, end, saved.place, change, contents)
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):  # it is not looked at
            os.ftruncate(descriptor, end)
        raise
    _write_slot(descriptor, saved.serial + 1, place)
    os.fsync(descriptor)


def num_dead(saved: Saved, change: Change, page_bytes: int) -> tuple[int, int]:
    """Bytes that no save needs any more after a save, and bytes of the file then."""
    added = _save_bytes(change, page_bytes)
    size = saved.place.end + added
    return size - DATA_AT - _save_bytes(change._replace(kept_tokens=0, kept_pages=0), page_bytes), size


def read(path: Path, file: BufferedReader, label: Label, known: Saved | None = None) -> Saved:
    """What a file holds. known: what an earlier read found, whose indexes are not read again. SessionError: not a
    session, another label's, truncated or corrupt."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(DATA_AT)
    version = _checked_version(path, head[:BLOCK], label)
    if len(head) < DATA_AT:
        raise _truncated(path)
    slots = sorted(filter(None, (_slot(head[n * BLOCK :][: SLOT.size]) for n in (1, 2))), reverse=True)
    problem = _corrupt(path, "its slots")
    for serial, place in slots:  # the older one counts where the disk has lost what the newer one names
        try:
            saved = _saved(path, file, size, label.page_bytes, serial, place, known)
            if saved.heat and version == WITHOUT_HEAT:
                raise _corrupt(path, "its index contradicts itself")
            return saved._replace(version=version)
        except SessionError as e:
            problem = e if place == slots[0][1] else problem
    raise problem


def contents(path: Path, file: BufferedReader, saved: Saved, label: Label, count: int) -> Iterator[np.ndarray]:
    """The first pages of what a file holds; each is good until the next one. SessionError."""
    page = np.empty(label.page_bytes, np.uint8)
    for number, (at, check) in enumerate(zip(saved.page_at[:count], saved.page_crc, strict=False)):
        file.seek(int(at))
        if file.readinto(page) != len(page) or crc32(page) != check:
            raise _corrupt(path, f"page {number}")
        yield page


def _write_save(descriptor: int, at: int, before: Place, change: Change, pages: Iterable[np.ndarray]) -> Place:
    """Writes new pages and their index; returns where that lies."""
    checks: list[int] = []
    for page in pages:
        checks.append(crc32(page))
        _write(descriptor, page, at)
        at += page.nbytes
    new = change.tokens.part(change.kept_tokens, len(change.tokens.ids))
    head = INDEX.pack(*before, change.kept_tokens, change.kept_pages, len(change.tokens.ids), change.num_cached)
    index = b"".join((head, new.ids.astype("<i4"), new.forms.tobytes(), np.asarray(checks, "<u4"), change.heat))
    _write(descriptor, index, at)
    return Place(at, len(index), crc32(index))


def _save_bytes(change: Change, page_bytes: int) -> int:
    """Bytes that `_write_save` writes."""
    num_new = len(change.tokens.ids) - change.kept_tokens
    return INDEX.size + 5 * num_new + (page_bytes + 4) * change.num_new_pages + len(change.heat)


def _write_slot(descriptor: int, serial: int, place: Place) -> None:
    data = SLOT.pack(serial, *place, 0)[:-4]
    _write(descriptor, data + crc32(data).to_bytes(4, "little"), (1 + serial % 2) * BLOCK)


def _write(descriptor: int, data: bytes | np.ndarray, at: int) -> None:
    """Writes all of it: the system may take less at a time. OSError."""
    rest = memoryview(data).cast("B")
    while rest:
        count = os.pwrite(descriptor, rest, at)
        rest, at = rest[count:], at + count


def _slot(data: bytes) -> tuple[int, Place] | None:
    """(serial number, place) of a slot; None when it was never written, or not to its end."""
    serial, at, num_bytes, crc, check = SLOT.unpack(data)
    return (serial, Place(at, num_bytes, crc)) if crc32(data[:-4]) == check else None


def _saved(
    path: Path, file: BufferedReader, size: int, page_bytes: int, serial: int, place: Place, known: Saved | None
) -> Saved:
    """What the save at a place has left: walks back over the indexes until nothing of those before stays, or to the
    one whose save has left what is known. SessionError: one cannot be read."""
    if known is not None and known.place == place and place.end <= size:
        return known._replace(serial=serial)
    newest = index = _index(path, file, size, page_bytes, place)
    tokens, pages = index.num_tokens, num_pages(index.num_cached)  # that are looked for
    found: list[_Index | Saved] = []
    while True:
        num_kept = len(index.page_at) + index.kept_pages
        if tokens > index.num_tokens or pages > num_kept:
            raise _corrupt(path, "its saves contradict each other")
        own = max(tokens - index.kept_tokens, 0), max(pages - index.kept_pages, 0)
        found.append(_first(index, *own))
        tokens, pages = min(tokens, index.kept_tokens), min(pages, index.kept_pages)
        if not tokens and not pages:
            break
        if known is not None and known.place == index.before:
            found.append(_first(known, tokens, pages))
            break
        index = _index(path, file, size, page_bytes, index.before)
    found.reverse()
    ids, forms = (np.concatenate([part.tokens[which] for part in found]) for which in (0, 1))
    page_at, page_crc = (np.concatenate(parts) for parts in zip(*((i.page_at, i.page_crc) for i in found), strict=True))
    return Saved(Tokens(ids, forms), newest.num_cached, page_at, page_crc, newest.heat, VERSION, serial, place)


def _index(path: Path, file: BufferedReader, size: int, page_bytes: int, place: Place) -> _Index:
    """The index at a place. SessionError."""
    if place.end > size:
        raise _truncated(path)
    file.seek(place.at)
    data = file.read(place.num_bytes)
    if len(data) < INDEX.size or crc32(data) != place.crc:
        raise _corrupt(path, "its tokens")
    *before, kept_tokens, kept_pages, num_tokens, num_cached = INDEX.unpack_from(data)
    before = Place(*before)
    tokens, pages = num_tokens - kept_tokens, num_pages(num_cached) - kept_pages
    pages_at = place.at - pages * page_bytes
    fits = (
        min(tokens, pages) >= 0
        and num_cached <= num_tokens
        and len(data) >= INDEX.size + 5 * tokens + 4 * pages
        and max(before.end, DATA_AT) <= pages_at
    )
    if not fits:
        raise _corrupt(path, "its index contradicts itself")
    forms_at = INDEX.size + 4 * tokens
    forms = np.frombuffer(data, np.uint8, tokens, forms_at)
    if forms.max(initial=0) > ABSORBED:
        raise _corrupt(path, "its tokens")
    ids = np.frombuffer(data, "<i4", tokens, INDEX.size).astype(np.int32)
    page_at = pages_at + page_bytes * np.arange(pages, dtype=np.int64)
    page_crc = np.frombuffer(data, "<u4", pages, forms_at + tokens)
    heat = data[forms_at + tokens + 4 * pages :]
    return _Index(before, kept_tokens, kept_pages, num_tokens, num_cached, Tokens(ids, forms), page_at, page_crc, heat)


def _first(index: Part, tokens: int, pages: int) -> Part:
    """So many of its tokens and pages."""
    first = index.tokens.part(0, tokens)
    return index._replace(tokens=first, page_at=index.page_at[:pages], page_crc=index.page_crc[:pages])


def _checked_version(path: Path, block: bytes, label: Label) -> int:
    """The format of a file whose first block this is. SessionError: it is not that of a session of this label."""
    try:
        header: dict[str, Any] = json.loads(block.partition(b"\n")[0])
        is_known = header["magic"] == MAGIC
    except (ValueError, TypeError, KeyError, RecursionError):
        header, is_known = dict[str, Any](), False
    if not is_known:
        raise SessionError(
            f"{path} is not a session file, or its beginning is damaged; the conversation starts afresh."
        )
    version = header.get("version")
    if version not in (WITHOUT_HEAT, VERSION):
        raise SessionError(
            f"{path} has session format {str(version)[:20]}, this program knows {VERSION}; "
            "the conversation starts afresh."
        )
    crc = header.pop("crc", None)
    if crc != crc32(json.dumps(header).encode()):
        raise _corrupt(path, "its header")
    model, cache, page_bytes = (header.get(name) for name in Label._fields)
    if not isinstance(model, str) or not isinstance(cache, str) or type(page_bytes) is not int:
        raise _corrupt(path, "its header contradicts itself")
    if model != label.model:
        raise SessionError(f"{path} belongs to another model; the conversation starts afresh.")
    if (cache, page_bytes) != (label.cache, label.page_bytes):
        raise SessionError(
            f"{path} was saved with --kv {cache[:20]}; load the model with the same, or the conversation starts afresh."
        )
    return version


def _truncated(path: Path) -> SessionError:
    return SessionError(f"{path} is truncated; the conversation starts afresh.")


def _corrupt(path: Path, what: str) -> SessionError:
    return SessionError(f"{path} is corrupt ({what}); the conversation starts afresh.")
