"""A native file's parts, one for each stage of a model: as long as the file, and empty but for what the stage needs."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import ConfigError
from ..files import check_replaceable, open_regular, replacing
from ..modelfile import HASHES, ModelFile
from ..modelfile.layout import TOKENIZER
from ..plan import layer_sizes, split
from .driver import REPLACEABLE, provenance_of

PIECE = 16 << 20  # bytes of a read
Progress = Callable[[int, int, str], None]


def write_parts(path: Path, num_stages: int, force: bool, progress: Progress | None) -> list[Path]:
    """Writes the parts of a native file beside it, NAME-1-of-K.gguf and so on; their paths.

    A part has all that says what the file is, the tokenizer, and a stage's layers; the rest are holes, which take no
    space on the disk. progress(bytes_done, bytes_total, part) is called from this thread. ConfigError: there are fewer
    layers than stages, or another file stands there. ModelFileError, OSError.
    """
    with ModelFile.open(path) as file, open_regular(path) as source:
        layers = _layers(file, num_stages)
        targets = [path.with_name(part_name(path.name, n, num_stages)) for n in range(1, num_stages + 1)]
        for target in targets:
            is_anew = target.exists() and provenance_of(target) == provenance_of(path)
            check_replaceable(target, REPLACEABLE, lambda path: provenance_of(path) is not None, force or is_anew)
        done, total = 0, sum(end - begin for own in layers for begin, end in _spans(file, own))
        for target, own in zip(targets, layers, strict=True):
            with replacing(target) as part:
                part.truncate(file.size)
                for begin, end in _spans(file, own):
                    part.seek(begin)
                    for at in range(begin, end, PIECE):
                        done += part.write(os.pread(source.fileno(), min(PIECE, end - at), at))
                        if progress is not None:
                            progress(done, total, target.name)
    return targets


def part_name(name: str, number: int, count: int) -> str:
    """The name of the number-th of so many parts of a file."""
    path = Path(name)
    return f"{path.stem}-{number}-of-{count}{path.suffix}"


def _layers(file: ModelFile, num_stages: int) -> list[range]:
    """Those of each stage, on hosts that are alike. ConfigError: there are too few."""
    config = file.config
    sizes = layer_sizes(config, file.sizes(config.layers))
    found = split(sizes.read, sizes.all, [1.0] * num_stages, [sum(sizes.all)] * num_stages)
    if found is None:
        raise ConfigError(f"{file.path} has {config.num_hidden_layers} layers, too few for {num_stages} stages.")
    return found


def _spans(file: ModelFile, layers: range) -> Iterator[tuple[int, int]]:
    """The bytes [begin, end) of a part."""
    yield 0, len(file.header())
    for name in (*TOKENIZER, HASHES):
        if name in file.tensors:
            tensor = file.tensors[name]
            yield tensor.offset, tensor.offset + tensor.nbytes
    yield from file.spans(layers)
