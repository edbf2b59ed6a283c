"""Proves the parts of a model file that lie in one folder: each for itself, and that together they are the whole."""

import re
from collections import defaultdict
from pathlib import Path

from ..errors import ModelFileError
from ..modelfile import ModelFile
from .parts import part_name
from .verify import Progress, Report, verify

PART = re.compile(r"(?P<stem>.+)-[1-9]\d*-of-(?P<count>[1-9]\d*)\.gguf")


def verify_parts(
    folder: Path, against: str | Path | None = None, jobs: int | None = None, progress: Progress | None = None
) -> list[Report]:
    """Checks all parts in a folder, which may be of several files; raises as `verify`, of the first that fails.

    ModelFileError, besides: there is none, one is missing or of another model than the others, or they have other
    layers than the whole.
    """
    reports: list[Report] = []
    for parts in _sets(folder):
        _check_alike(parts)
        found = [verify(path, against, jobs, progress) for path in parts]
        layers = [layer for report in found for layer in report.layers]
        if layers != list(range(found[0].num_layers)):
            there = ", ".join(f"{report.layers.start} to {report.layers.stop - 1}" for report in found)
            raise ModelFileError(
                f"{parts[0]} and the other parts have layers {there}, the model 0 to {found[0].num_layers - 1}. Write "
                f"them anew: kimi-cpu convert --stages {len(parts)}"
            )
        reports += found
    return reports


def _sets(folder: Path) -> list[list[Path]]:
    """The parts of each file, in order. ModelFileError: one is missing, or there is none."""
    counts: dict[str, set[int]] = defaultdict(set)
    for path in folder.iterdir():
        if found := PART.fullmatch(path.name):
            counts[found["stem"]].add(int(found["count"]))
    sets = [
        [folder / part_name(f"{stem}.gguf", number, count) for number in range(1, count + 1)]
        for stem, of_file in sorted(counts.items())
        for count in sorted(of_file)
    ]
    if not sets:
        raise ModelFileError(f"{folder} has no parts of a model file, {part_name('NAME.gguf', 1, 2)} and so on.")
    for path in (path for parts in sets for path in parts):
        if not path.exists():
            raise ModelFileError(f"{path} is missing; the other parts of the same file are there.")
    return sets


def _check_alike(parts: list[Path]) -> None:
    """ModelFileError: they are of several models."""
    hashes: list[str] = []
    for path in parts:
        with ModelFile.open(path) as file:
            file.require_native()
            hashes.append(file.model_hash())
        if hashes[-1] != hashes[0]:
            raise ModelFileError(f"{path} is a part of another model file than {parts[0].name} beside it.")
