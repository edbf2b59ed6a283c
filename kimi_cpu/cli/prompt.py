"""Text from wherever it was given: an argument, an option, a file, or stdin."""

import sys
from pathlib import Path

import click

from ..filetypes import decoded


def read_prompt(argument: str | None, option: str | None, file: Path | None) -> str:
    """The one that was given; "-", and nothing beside a pipe, are stdin. UsageError: none, several, or no UTF-8."""
    given = [x for x in (argument, option, file) if x is not None]
    if len(given) > 1:
        raise click.UsageError("Give the text once: as an argument, as an option or as a file.")
    if file is not None:
        return _decoded(file.read_bytes(), str(file))
    text = argument if argument is not None else option
    if text == "-" or (text is None and not sys.stdin.isatty()):
        return _decoded(sys.stdin.buffer.read(), "stdin")
    if text is None:
        raise click.UsageError("No text was given. Name it, pass -f FILE, or send it through a pipe.")
    return text


def _decoded(data: bytes, name: str) -> str:
    try:
        return decoded(data)
    except ValueError as e:
        raise click.UsageError(f"{name}: {e}") from None
