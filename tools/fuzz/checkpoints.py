"""Hugging Face checkpoints: headers of shards, the index, config.json, tokenizer and texts, and the weights."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

from kimi_cpu.conversion import convert
from kimi_cpu.conversion.inspect import inspect, preview
from kimi_cpu.errors import ConfigError, ModelFileError
from tests import tiny

from . import model_files, values
from .model_files import CHECKPOINT, PATTERNS
from .outcome import REFUSED, attempt

SMALL = {  # configurations of bases
    "plain": {"q_lora_rank": None, "tie_word_embeddings": True, "rope_scaling": None},
    "groups": {"n_group": 4, "topk_group": 2, "rope_interleave": False},
    "floats": {"experts": "bf16"},
}
LOOKED_FOR = (*model_files.LOOKED_FOR, "quantization_config", "num_bits", "group_size", "format", "eos_token_id")
DTYPES = ("BF16", "F16", "F32", "F64", "I32", "I64", "U8", "F8_E4M3", "BOOL", "X", 5)
TEMPLATES = ("{% for m in messages %}{{ m.content }}{% endfor %}", "{{ 1 / 0 }}", "{% if %}", "", "{{ x.y.z }}", "\0")


def prepare(folder: Path) -> None:
    for name, overrides in SMALL.items():
        checkpoint = tiny.make(folder / name, num_hidden_layers=2, vocab_size=512, **overrides)
        for file in ("tiktoken.model", "tokenizer_config.json", "generation_config.json"):
            shutil.copy(CHECKPOINT / file, checkpoint)


def make(rng: Random, folder: Path, path: Path) -> None:
    """One or two changes of a good checkpoint."""
    shutil.copytree(folder / rng.choice(list(SMALL)), path)
    for _ in range(rng.choice([1, 1, 1, 2])):
        with suppress(LookupError, TypeError, ValueError, AttributeError, FileNotFoundError):  # what another one spoilt
            rng.choice(CHANGES)(rng, path)


def use(path: Path) -> str:
    """Looks at a checkpoint, converts it, and runs what comes of it. Fault: that does not load."""
    name = str(path)
    attempt(lambda: inspect(path), names=name)
    attempt(lambda: preview(path), names=name)
    return convert_and_run(path, path.with_name(path.name + ".gguf"))


def convert_and_run(source: Path, out: Path) -> str:
    """What a conversion, and the file that it makes, come to."""
    _, refusal = attempt(lambda: convert(source, out, jobs=1), names=str(source))
    if refusal is not None:
        return REFUSED
    outcome = model_files.use(out)
    out.unlink()
    other = out.with_suffix(".standard")
    attempt(lambda: convert(source, other, layout="standard", jobs=1), ConfigError, ModelFileError)  # not all can be
    other.unlink(missing_ok=True)
    return outcome


def _json(rng: Random, path: Path, name: str, keys: tuple[str, ...] = ()) -> None:
    tree = json.loads((path / name).read_text())
    values.change_json(rng, tree, keys)
    (path / name).write_text(values.dumped(tree))


def _config(rng: Random, path: Path) -> None:
    _json(rng, path, "config.json", LOOKED_FOR)


def _index(rng: Random, path: Path) -> None:
    _json(rng, path, "model.safetensors.index.json")


def _tokenizer(rng: Random, path: Path) -> None:
    _json(rng, path, rng.choice(["tokenizer_config.json", "tokenizer_config.json", "generation_config.json"]))


def _ranks(rng: Random, path: Path) -> None:
    """Another line, one less, or one more, of tiktoken.model."""
    lines = (path / "tiktoken.model").read_text().splitlines()
    at = rng.randrange(len(lines))
    line = rng.choice(
        [lines[at - 1], "", "YQ== -1", "YQ== 99999999999999999999", "!!!! 3", "YWJj 7 8", f"YWJj {len(lines)}"]
    )
    lines[at : at + rng.choice([0, 1, 1])] = [line] * rng.choice([0, 1])
    (path / "tiktoken.model").write_text("\n".join(lines))


def _text(rng: Random, path: Path) -> None:
    file = rng.choice(sorted(p for p in path.iterdir() if p.suffix == ".json"))
    file.write_text(values.change_text(rng, file.read_text()))


def _template(rng: Random, path: Path) -> None:
    (path / "chat_template.jinja").write_text(rng.choice([*TEMPLATES, *values.TEXTS]))


def _header(rng: Random, path: Path) -> None:
    """Another dtype, shape, place or name of a tensor in a shard."""
    file, header, data = _shard(rng, path)
    name = rng.choice(list(header))
    action = rng.randrange(5)
    if action == 0:
        header[name]["dtype"] = rng.choice(DTYPES)
    elif action == 1:
        values.change_json(rng, header, ("shape", "data_offsets"))
    elif action == 2:
        shape = header[name]["shape"]
        header[name]["shape"] = rng.choice([shape[::-1], [0], [*shape, 1], [1, *shape], [2**62, 4], [0, 2**62], []])
    elif action == 3:
        other = rng.choice(list(header))
        header[name], header[other] = header[other], header[name]
    else:
        header[rng.choice(["", "x\n", "a" * 300, "model.layers.9.x", "lm_head.bias"])] = header.pop(name)
    _write_shard(file, header, data)


def _weights(rng: Random, path: Path) -> None:
    """NaN, infinity or large values among the weights."""
    file, header, data = _shard(rng, path)
    begin, end = header[rng.choice(list(header))]["data_offsets"]
    at = begin + rng.randrange(max(1, (end - begin) // 4)) * 4
    pattern = rng.choice(PATTERNS) * rng.choice([1, 1, 16])
    data[at : at + len(pattern)] = pattern
    _write_shard(file, header, data[: header_end(header)])


def _bytes(rng: Random, path: Path) -> None:
    file = rng.choice(sorted(path.iterdir()))
    file.write_bytes(values.change_bytes(rng, file.read_bytes()))


def _file(rng: Random, path: Path) -> None:
    """A file less, or one that is another's, or a directory."""
    files = sorted(path.iterdir())
    file, other = rng.choice(files), rng.choice(files)
    content = other.read_bytes()
    file.unlink()
    if rng.random() < 0.5:
        file.write_bytes(content)
    elif rng.random() < 0.3:
        file.mkdir()


def _shard(rng: Random, path: Path) -> tuple[Path, dict, bytearray]:
    """(file, header, data) of a shard."""
    file = rng.choice(sorted(path.glob("*.safetensors")))
    stored = file.read_bytes()
    end = 8 + int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8:end])
    header.pop("__metadata__", None)
    return file, header, bytearray(stored[end:])


def header_end(header: dict) -> int:
    """Bytes of the data."""
    return max(entry["data_offsets"][1] for entry in header.values())


def _write_shard(file: Path, header: dict, data: bytes) -> None:
    text = values.dumped(header).encode("utf-8", "surrogatepass")
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


CHANGES = (_config, _config, _index, _tokenizer, _ranks, _text, _template, _header, _header, _weights, _bytes, _file)
