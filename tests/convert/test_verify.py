"""verify notices any flipped bit, in the model file or in the checkpoint, and names the tensor."""

import json
import os
import shutil

import numpy as np
import pytest

from kimi_cpu import convert
from kimi_cpu.convert.verify import verify
from kimi_cpu.errors import KimiError, ModelFileError
from kimi_cpu.modelfile import HASHES, ModelFile
from tests import tiny

NUM_FLIPS = int(os.environ.get("KIMI_CPU_TEST_FLIPS", "224"))
FILE_CLASSES = {  # class: the tensor in the model file, and the bytes of it that hold the class
    "int4 values": ("blk.1.ffn_exps.weight", slice(32, 288)),
    "int4 scales": ("blk.2.ffn_exps.weight", slice(0, 32)),
    "attention": ("blk.0.attn_q_b.weight", slice(None)),
    "embedding": ("token_embd.weight", slice(None)),
    "norm": ("blk.1.attn_norm.weight", slice(None)),
    "router": ("blk.2.ffn_gate_inp.weight", slice(None)),
    "hashes": (HASHES, slice(None)),
}
CHECKPOINT_CLASSES = {  # class: the tensor in the checkpoint, and the one in the model file
    "packed": ("model.layers.1.mlp.experts.3.up_proj.weight_packed", "blk.1.ffn_exps.weight, expert 3"),
    "scale": ("model.layers.2.mlp.experts.5.down_proj.weight_scale", "blk.2.ffn_exps.weight, expert 5"),
    "shape": ("model.layers.1.mlp.experts.0.gate_proj.weight_shape", "weight_shape"),
    "attention": ("model.layers.1.self_attn.o_proj.weight", "blk.1.attn_output.weight"),
    "norm": ("model.norm.weight", "output_norm.weight"),
    "router": ("model.layers.1.mlp.gate.weight", "blk.1.ffn_gate_inp.weight"),
    "bias": ("model.layers.2.mlp.gate.e_score_correction_bias", "blk.2.exp_probs_b.bias"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(checkpoint, its file with BF16 matrices, in which every bit of the checkpoint counts)."""
    folder = tmp_path_factory.mktemp("pair")
    convert(tiny.make(folder / "in"), folder / "out.gguf", dense="bf16")
    return folder / "in", folder / "out.gguf"


def flip(path, at, rng):
    """Flips one random bit of the byte at an offset."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def places(path):
    """{tensor: (first byte, number of bytes)} of a safetensors file; "" is the header."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    found = {n: (8 + size + t["data_offsets"][0], t["data_offsets"][1] - t["data_offsets"][0])
             for n, t in header.items() if n != "__metadata__"}  # fmt: skip
    return found | {"": (0, 8 + size)}


def test_untouched_file_equals_its_checkpoint(pair):
    report = verify(pair[1], against=pair[0])
    assert report.num_exact > 48
    assert not report.errors


def test_rounded_matrices_are_reported_with_their_largest_error(pair, tmp_path):
    convert(pair[0], tmp_path / "q8.gguf")
    report = verify(tmp_path / "q8.gguf", against=pair[0])
    assert 0.003 < report.errors["q8 attn_output"][1] <= 0.5 / 127 + 2**-8
    assert not [label for label in report.errors if "exps" in label]


@pytest.mark.parametrize("name", [*FILE_CLASSES, "header", "padding"])
def test_flipped_bit_in_the_file_is_noticed_and_named(pair, tmp_path, name):
    rng = np.random.default_rng(len(name))
    with ModelFile.open(pair[1]) as file:
        tensors, head = dict(file.tensors), len(file.header())
    for _ in range(max(1, NUM_FLIPS // 16)):
        path = shutil.copy(pair[1], tmp_path / "bad.gguf")
        if name == "header":
            at, expected = int(rng.integers(head)), "bad.gguf"
        elif name == "padding":
            info = tensors["blk.0.attn_norm.weight"]
            at, expected = info.offset + info.nbytes + int(rng.integers(64)), "the padding before blk.0"
        else:
            expected, part = FILE_CLASSES[name]
            info = tensors[expected]
            size = info.nbytes if part == slice(None) else part.stop - part.start
            at = info.offset + (part.start or 0) + int(rng.integers(size))
        flip(path, at, rng)
        with pytest.raises(KimiError) as error:
            verify(path)
        assert expected in str(error.value)


@pytest.mark.parametrize("name", [*CHECKPOINT_CLASSES, "header"])
def test_flipped_bit_in_the_checkpoint_is_noticed_and_named(pair, tmp_path, name):
    rng = np.random.default_rng(len(name))
    tensor, in_file = CHECKPOINT_CLASSES.get(name, ("", "model-0000"))
    shards = {path.name: places(path) for path in pair[0].glob("*.safetensors")}
    shard = next(s for s, found in shards.items() if tensor in found)
    for _ in range(max(1, NUM_FLIPS // 16)):
        bad = tmp_path / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(pair[0], bad)
        start, size = shards[shard][tensor]
        flip(bad / shard, start + int(rng.integers(size)), rng)
        with pytest.raises(KimiError) as error:
            verify(pair[1], against=bad)
        assert in_file in str(error.value) or tensor in str(error.value)


def test_expert_is_named_by_its_number(pair, tmp_path):
    path = shutil.copy(pair[1], tmp_path / "bad.gguf")
    with ModelFile.open(path) as file:
        info = file.tensors["blk.1.ffn_exps.weight"]
    flip(path, info.offset + 6 * info.shape[1] + 77, np.random.default_rng(0))
    with pytest.raises(ModelFileError, match="expert 6"):
        verify(path)


def test_file_of_another_checkpoint_is_told_apart(pair, tmp_path):
    other = tiny.make(tmp_path / "other", seed=1)
    with pytest.raises(ModelFileError, match=r"token_embd|header"):
        verify(pair[1], against=other)
