"""What stands where a conversion will write: nothing, what an earlier one left, or something that must stay."""

import json
from pathlib import Path

from ..errors import ConfigError, KimiError
from ..files import check_replaceable, output_path
from ..modelfile.header import read_gguf
from .journal import is_journal
from .source import Source

SOURCE = "kimi-cpu.source"  # metadata of every model file that a conversion makes
WHAT = "whole model file of kimi-cpu"  # what may be replaced


def find_target(out: Path, source: Path) -> Path:
    """Where the output lies, links followed. ConfigError, OSError: nothing can be written there, because it is no
    regular file, an input, or of another program, or because what stands beside it is."""
    inputs = [source, *(source.iterdir() if source.is_dir() else ())]
    target = output_path(out, inputs)
    check_replaceable(target, WHAT, lambda path: _made_from(path) is not None, force=True)
    journal = target.with_name(target.name + ".journal")
    partial = target.with_name(target.name + ".partial")
    if journal.exists() and not is_journal(journal):
        raise ConfigError(f"{journal} is no journal of a conversion; move it away, or name another output.")
    if partial.exists() and partial.stat().st_size and not journal.exists():
        raise ConfigError(f"{partial} is of no known conversion; move it away, or name another output.")
    return target


def check_target(target: Path, source: Source, force: bool) -> None:
    """ConfigError: it is a file of the source, or a model file that is not to be replaced."""
    output_path(target, source.maps)
    made_from = _made_from(target) if target.exists() else None
    if made_from is not None and not force and made_from == source_json(source):
        raise ConfigError(
            f"{target} is a finished conversion of {source.path} already; --force (force=True) makes it anew."
        )
    check_replaceable(target, WHAT, lambda _: made_from is not None, force, "--force (force=True)")


def source_json(source: Source) -> str:
    """Names what a file is made from: its name, and (name, size, hash of the header) of each of its files."""
    files = [{"name": name, "size": size, "header_sha256": digest} for name, size, digest in source.files]
    return json.dumps({"name": source.name, "files": files})


def _made_from(path: Path) -> str | None:
    """What a model file says that it is made from; None: it is none of ours."""
    try:
        made_from = read_gguf(path).metadata.get(SOURCE)
    except (KimiError, OSError):
        return None
    return made_from if isinstance(made_from, str) else None
