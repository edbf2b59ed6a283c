"""GGUF files of others, deepseek2 with standard types, as `convert` takes them."""

from contextlib import suppress
from pathlib import Path
from random import Random

from kimi_cpu.conversion import convert
from kimi_cpu.conversion.inspect import inspect, preview
from kimi_cpu.modelfile.header import ARRAY, STRING
from kimi_cpu.tokenizer import Tokenizer

from . import checkpoints, gguf_bytes, model_files, values
from .gguf_bytes import Pieces
from .outcome import attempt

MODEL = "deepseek2."


def prepare(folder: Path) -> None:
    checkpoints.prepare(folder)
    for name in ("groups", "floats"):
        convert(folder / name, folder / f"{name}.gguf", layout="standard")


def make(rng: Random, folder: Path, path: Path) -> None:
    """One or two changes of a good file."""
    path.mkdir()
    base, out = folder / rng.choice(["groups.gguf", "floats.gguf"]), path / "source.gguf"
    if rng.random() < 0.15:
        out.write_bytes(values.change_bytes(rng, base.read_bytes()))
        return
    pieces = gguf_bytes.read(base)
    for _ in range(rng.choice([1, 1, 2])):
        with suppress(LookupError, TypeError, ValueError, AttributeError, StopIteration):  # what another one spoilt
            rng.choice(CHANGES)(rng, pieces)
    gguf_bytes.write(out, pieces)


def use(path: Path) -> str:
    """As a checkpoint's; its tokenizer is asked for too."""
    source = path / "source.gguf"
    for look in (inspect, preview, Tokenizer.load):
        attempt(lambda look=look: look(source), *model_files.FILE_ERRORS, names=str(source))
    return checkpoints.convert_and_run(source, path / "out.gguf")


def _value(rng: Random, pieces: Pieces) -> None:
    """Another value of a key of the model's."""
    places = [i for i, (key, _, _) in enumerate(pieces.metadata) if key.startswith((MODEL, "tokenizer.ggml.", "split"))]
    at = rng.choice(places)
    key, kind, value = pieces.metadata[at]
    if kind == ARRAY:
        _array(rng, pieces)
    else:
        pieces.metadata[at] = key, kind, values.value(rng, value)


def _array(rng: Random, pieces: Pieces) -> None:
    """A list of another type, length or order."""
    at = rng.choice([i for i, (_, kind, _) in enumerate(pieces.metadata) if kind == ARRAY])
    key, kind, (inner, items) = pieces.metadata[at]
    action = rng.randrange(5)
    if action == 0:
        inner = rng.randrange(14)
    elif action == 1:
        items = items[: rng.randrange(len(items) + 1)]
    elif action == 2:
        items = items + items[:3]
    elif action == 3:
        items = rng.sample(items, len(items))
    else:
        items = [*items]
        items[rng.randrange(len(items))] = values.value(rng, items[0])
    pieces.metadata[at] = key, kind, (inner, items)


def _text(rng: Random, pieces: Pieces) -> None:
    at = rng.choice([i for i, (_, kind, _) in enumerate(pieces.metadata) if kind == STRING])
    key, kind, text = pieces.metadata[at]
    pieces.metadata[at] = key, kind, values.change_text(rng, text)


CHANGES = (_value, _value, _array, _text, *model_files.GGUF_CHANGES)
