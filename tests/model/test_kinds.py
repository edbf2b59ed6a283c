"""Every matrix is run by its own packed kind, whatever the kinds of the matrices beside it are."""

import json
from pathlib import Path

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu import convert
from kimi_cpu.conversion.verify import verify
from kimi_cpu.errors import ModelFileError
from kimi_cpu.modelfile.header import STRING
from kimi_cpu.quant import bf16_to_f32, f32_to_bf16
from kimi_cpu.quant.rows16 import Matrix, pack_bf16, pack_int4, pack_q8, packed_bytes, unpack
from tests import tiny
from tools.fuzz import gguf_bytes

DESCRIBED = "kimi-cpu.tensors"
EXPERTS = "blk.1.ffn_exps.weight"
IDS = [3, 141, 59, 26, 53, 58, 97, 93, 23, 84]
MAX_ERROR = 1e-4  # of the range of the logits: the kinds hold the same weights, sums have another order
MAX_INT8_ERROR = 0.05  # on average: bf16 matrices take inputs that are not rounded


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A small model in bf16, of weights that every kind holds exactly."""
    folder = tmp_path_factory.mktemp("kinds")
    config = tiny.BASE | {"num_hidden_layers": 2}
    stored = tiny.tensors(config, seed=0, experts="bf16")
    for name, (dtype, array) in stored.items():
        if array.ndim == 2:
            stored[name] = dtype, f32_to_bf16(on_grid(bf16_to_f32(array)))
    tiny.write(folder / "in", config, stored)
    convert(folder / "in", folder / "base.gguf", dense="bf16")
    return folder / "base.gguf"


def grid(values: np.ndarray) -> np.ndarray:
    """A power of two for each 32 columns, of which the largest value is 4 to 7; f32[R, ceil(C / 32)]."""
    padded = np.pad(np.abs(values), ((0, 0), (0, -values.shape[1] % 32))).reshape(len(values), -1, 32)
    return np.exp2(np.ceil(np.log2(np.maximum(padded.max(-1), 1e-30) / 7))).astype(np.float32)


def on_grid(values: np.ndarray) -> np.ndarray:
    scales = np.repeat(grid(values), 32, axis=1)[:, : values.shape[1]]
    return np.rint(values / scales) * scales


def names(path: Path) -> list[str]:
    return [name for name, entry in json.loads(gguf_bytes.read(path).get(DESCRIBED)).items() if "kind" in entry]


def repacked(path: Path, out: Path, changes: dict[str, str]) -> Path:
    """A file whose matrices of these names have these kinds. "part" of experts: that part of all of them."""
    pieces = gguf_bytes.read(path)
    described = json.loads(pieces.get(DESCRIBED))
    parts = {name: kind for name, kind in changes.items() if name in ("gate", "up", "down")}
    for name in changes.keys() - parts.keys():
        tensor, entry = pieces.tensor(name), described[name]
        tensor.data = again(entry, tensor.data, changes[name])
        tensor.dims = [len(tensor.data)]
    if parts:
        repack_experts(pieces.tensor(EXPERTS), described[EXPERTS], parts)
    pieces.set(DESCRIBED, STRING, json.dumps(described))
    gguf_bytes.write(out, pieces)
    return out


def again(entry: dict, data: bytes, kind: str) -> bytes:
    """The bytes of a matrix in another kind, the same values."""
    values = unpack(Matrix(entry["kind"], entry["rows"], entry["cols"], np.frombuffer(data, np.uint8)))
    entry["kind"] = kind
    if kind == "bf16":
        return pack_bf16(f32_to_bf16(values)).tobytes()
    scales = grid(values)
    whole = np.rint(values / np.repeat(scales, 32, axis=1)[:, : values.shape[1]])
    if kind == "q8":
        return pack_q8(whole.astype(np.int8), f32_to_bf16(scales)).tobytes()
    return pack_int4((whole + 8).astype(np.uint8), f32_to_bf16(scales)).tobytes()


def repack_experts(tensor, entry: dict, kinds: dict[str, str]) -> None:
    count, stride = tensor.dims[1], tensor.dims[0]
    experts, old = [], json.loads(json.dumps(entry["parts"]))
    for e in range(count):
        stored, out = tensor.data[e * stride : (e + 1) * stride], b""
        for name, part in old.items():
            begin = part["offset"]
            data = stored[begin : begin + packed_bytes(part["kind"], part["rows"], part["cols"])]
            entry["parts"][name] = dict(part, offset=len(out))
            out += again(entry["parts"][name], data, kinds.get(name, part["kind"]))
        experts.append(out.ljust(-(-len(out) // 4096) * 4096, b"\0"))
    tensor.data, tensor.dims = b"".join(experts), [len(experts[0]), count]
    entry["stride"] = len(experts[0])


def logits(path: Path, compute: str) -> np.ndarray:
    """Of a prompt as one chunk and token by token: both forms of attention."""
    with kimi_cpu.load(path, threads=2, compute=compute, kv="f32" if compute == "f32" else "f16") as llm:
        whole = llm.logits(IDS)
    with kimi_cpu.load(path, threads=2, compute=compute, kv="f32" if compute == "f32" else "f16", chunk=1) as llm:
        return np.concatenate([whole, llm.logits(IDS)])


def assert_alike(found: np.ndarray, expected: np.ndarray, compute: str) -> None:
    assert np.isfinite(found).all()
    error = np.abs(found - expected) / np.ptp(expected)
    assert error.max() <= MAX_ERROR if compute == "f32" else error.mean() <= MAX_INT8_ERROR


@pytest.mark.parametrize("compute", ["int8", "f32"])
@pytest.mark.parametrize("kind", ["int4", "q8"])
def test_each_matrix_alone_is_run_by_its_own_kind(base, tmp_path, kind, compute):
    expected = logits(base, compute)
    for number, name in enumerate(names(base)):
        path = repacked(base, tmp_path / f"{number}.gguf", {name: kind})
        assert_alike(logits(path, compute), expected, compute)


@pytest.mark.parametrize("compute", ["int8", "f32"])
@pytest.mark.parametrize(
    "kinds",
    [("q8", "int4", "int4"), ("int4", "bf16", "q8"), ("bf16", "int4", "bf16"), ("int4", "int4", "q8")],
    ids="/".join,
)
def test_parts_of_an_expert_may_have_kinds_of_their_own(base, tmp_path, kinds, compute):
    path = repacked(base, tmp_path / "model.gguf", dict(zip(("gate", "up", "down"), kinds, strict=True)))
    assert_alike(logits(path, compute), logits(base, compute), compute)


@pytest.mark.parametrize("part", ["gate", "up"])
@pytest.mark.parametrize("kind", ["q8", "int4"])
def test_kind_that_a_part_does_not_have_is_refused(base, tmp_path, part, kind):
    """Right hashes, and other bytes than the description says."""
    path = misdescribed(base, tmp_path / "model.gguf", part, kind)
    for read in (kimi_cpu.load, verify):
        with pytest.raises(ModelFileError, match=rf"model\.gguf: tensor {EXPERTS}"):
            read(path)


def test_last_part_of_an_expert_that_is_said_to_be_smaller_is_noticed_by_verify(base, tmp_path):
    path = misdescribed(base, tmp_path / "model.gguf", "down", "q8")
    with pytest.raises(ModelFileError, match=rf"model\.gguf: tensor {EXPERTS}, expert 0; .*bytes of no matrix"):
        verify(path)


def misdescribed(base: Path, out: Path, part: str, kind: str) -> Path:
    pieces = gguf_bytes.read(base)
    described = json.loads(pieces.get(DESCRIBED))
    described[EXPERTS]["parts"][part]["kind"] = kind
    pieces.set(DESCRIBED, STRING, json.dumps(described))
    gguf_bytes.write(out, pieces)
    return out
