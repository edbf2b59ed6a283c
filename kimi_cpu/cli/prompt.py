"""Text from wherever it was given: an argument, an option, a file, or stdin."""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

import click

from ..filetypes import decoded

MAX_BYTES = 64 << 20  # more than any context that a model here has


def read_prompt(argument: str | None, option: str | None, file: Path | None) -> str:
    """The one that was given; "-", and nothing beside a pipe, are stdin. UsageError: none, several, or no UTF-8."""
    given = [x for x in (argument, option, file) if x is not None]
    if len(given) > 1:
        raise click.UsageError("Give the text once: as an argument, as an option or as a file.")
    if file is not None:
        try:
            return read_text(file)
        except ValueError as e:
            raise click.UsageError(f"{file}: {e}") from None
    text = argument if argument is not None else option
    if text == "-" or (text is None and not sys.stdin.isatty()):
        try:
            return decoded(_read(sys.stdin.buffer))
        except ValueError as e:
            raise click.UsageError(f"stdin: {e}") from None
    if text is None:
        raise click.UsageError("No text was given. Name it, pass -f FILE, or send it through a pipe.")
    return text


def read_text(path: Path) -> str:
    """The text of a file, or of what comes through a pipe. ValueError: it is too long, or no UTF-8. OSError."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise OSError(errno.EINVAL, "this is no file and no pipe", str(path))
        return decoded(_read(file))


def _read(file: BinaryIO) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB, which no model can read at once.")
    return data
