"""Files inside of one folder: list, read, search, write, edit.

A path is walked from the folder down, one name at a time, and no link is followed: neither a link nor `..` leads out
of it, whatever another program puts there meanwhile.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field

from ...filetypes import decoded
from ..tool import Tool, tool, tool_of

MAX_BYTES = 10 << 20  # of a file that is read or searched
MAX_ENTRIES = 500  # of a list
MAX_HITS = 200  # of a search
LINE_CHARS = 300  # of a line that is found
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PARTIAL = ".kimi-cpu-partial"

FileName = Annotated[str, Field(description="Path below the folder.")]


def folder_tools(folder: Path) -> list[Tool]:
    """Tools on the files below a folder: list_files, read_file, search_files, write_file and edit_file; the last two
    need consent. NotADirectoryError: it is none."""
    folder = folder.resolve(strict=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "this is no folder", str(folder))

    @tool(read_only=True)
    def list_files(path: FileName = ".") -> str:
        """List the files of the folder, with their sizes in bytes."""
        with _opened_folder(folder, _names(path)) as at:
            entries = [f"{name} ({size:,})" for name, size in _files(at)]
        more = f"\n… and {len(entries) - MAX_ENTRIES:,} more" if len(entries) > MAX_ENTRIES else ""
        return "\n".join(entries[:MAX_ENTRIES]) + more if entries else "There are no files."

    @tool(read_only=True)
    def read_file(
        path: FileName,
        first_line: Annotated[int, Field(ge=1)] = 1,
        num_lines: Annotated[int | None, Field(ge=1)] = None,
    ) -> str:
        """Read a text file, all of it or some lines."""
        lines = _read(folder, path).splitlines(keepends=True)
        last = None if num_lines is None else first_line - 1 + num_lines
        return "".join(lines[first_line - 1 : last])

    @tool(read_only=True)
    def search_files(text: Annotated[str, Field(min_length=1)], path: FileName = ".") -> str:
        """Find a text in the files of the folder, in any case of its letters; gives file, line number and line."""
        wanted, found = text.casefold(), list[str]()
        with _opened_folder(folder, _names(path)) as at:
            names = [str(PurePosixPath(path) / name) for name, _ in _files(at)]
        for name in names:
            with suppress(OSError, ValueError):  # gone, too long, or no text
                lines = enumerate(_read(folder, name).splitlines(), 1)
                found += [f"{name}:{n}: {line[:LINE_CHARS]}" for n, line in lines if wanted in line.casefold()]
            if len(found) >= MAX_HITS:
                return "\n".join([*found[:MAX_HITS], "… and perhaps more; search for less."])
        return "\n".join(found) or "The text is in no file."

    @tool(needs_consent=True)
    def write_file(path: FileName, content: str) -> str:
        """Write a text file; what was in it is replaced."""
        _write(folder, path, content)
        return f"{path} has {len(content):,} characters now."

    @tool(needs_consent=True)
    def edit_file(
        path: FileName,
        old: Annotated[str, Field(min_length=1, description="A part of the file that occurs once, exactly.")],
        new: Annotated[str, Field(description="What takes its place.")],
    ) -> str:
        """Replace a part of a text file."""
        content = _read(folder, path)
        if (count := content.count(old)) != 1:
            raise ValueError(f"the old part occurs {count} times in {path}; it must occur once")
        _write(folder, path, content.replace(old, new))
        return f"{path} is changed."

    return [tool_of(function) for function in (list_files, read_file, search_files, write_file, edit_file)]


def _names(path: str) -> list[str]:
    """The names on the way down. ValueError: the path leads elsewhere."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"{path} is not below the folder; name a path without a leading / and without ..")
    return list(parts)


@contextmanager
def _opened_folder(root: Path, names: list[str], make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below the root. make: those that are missing are made. OSError: a name is a link, or no
    folder."""
    at = os.open(root, DIRECTORY)
    try:
        for name in names:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=at)
            below = os.open(name, DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def _files(at: int) -> Iterator[tuple[str, int]]:
    """Paths and sizes of the regular files below a folder, in order of their names."""
    for parent, folders, names, descriptor in os.fwalk(".", dir_fd=at):
        folders.sort()
        for name in sorted(names):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                yield str(PurePosixPath(parent) / name), found.st_size


def _read(root: Path, path: str) -> str:
    """The text of a file. ValueError: it is too long, or no text. OSError: it is a link, or no regular file."""
    *names, last = _names(path) or ["."]
    with _opened_folder(root, names) as at:
        descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES >> 20} MiB")
    return decoded(data)


def _write(root: Path, path: str, content: str) -> None:
    """Puts a text in the place of a file, whole or not at all. OSError: the place is a folder."""
    *names, last = _names(path) or ["."]
    with _opened_folder(root, names, make=True) as at:
        partial = last + PARTIAL
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=at)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(partial, flags, 0o666, dir_fd=at), "wb") as file:
                file.write(content.encode())
                with suppress(FileNotFoundError):
                    mode = os.stat(last, dir_fd=at, follow_symlinks=False).st_mode
                    os.fchmod(file.fileno(), stat.S_IMODE(mode) & 0o777)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, last, src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial, dir_fd=at)
            raise
