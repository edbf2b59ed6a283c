"""verify notices any flipped bit, in the model file or in the checkpoint, and names what holds it.

KIMI_CPU_TEST_FLIPS: how many bits are flipped in all; 40 in the quick suite.
"""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kimi_cpu.cli.convert import verify_command as command
from kimi_cpu.conversion import convert
from kimi_cpu.conversion.against import open_against
from kimi_cpu.conversion.verify import verify
from kimi_cpu.errors import CheckpointError, KimiError, ModelFileError
from kimi_cpu.kernels import pack
from kimi_cpu.modelfile import HASHES, ModelFile
from kimi_cpu.modelfile.header import STRING
from kimi_cpu.quant import f32_to_bf16, rows16
from tests import tiny
from tools.fuzz import gguf_bytes

EXPERTS = "blk.1.ffn_exps.weight"
IN_FILE = (  # one tensor of each class; with bf16 matrices every bit of the checkpoint counts
    *("token_embd.weight", "blk.0.attn_norm.weight", "blk.1.attn_q_a.weight", "blk.2.attn_kv_a_mqa.weight"),
    *("blk.0.attn_q_b.weight", "blk.1.attn_k_b.weight", "blk.2.attn_v_b.weight", "blk.0.attn_output.weight"),
    *("blk.0.ffn_gate.weight", "blk.0.ffn_down.weight", "blk.2.ffn_gate_inp.weight", "blk.1.exp_probs_b.bias"),
    *("blk.1.ffn_up_shexp.weight", "output_norm.weight", "output.weight", "tokenizer.model", "tokenizer.ranks"),
    *(HASHES, "header", "padding", "values", "scales", "end of an expert"),
)
LAYER = "model.layers."
IN_CHECKPOINT = {  # tensor of a class: the one of the model file
    "model.embed_tokens.weight": "token_embd.weight",
    LAYER + "0.input_layernorm.weight": "blk.0.attn_norm.weight",
    LAYER + "1.self_attn.q_a_proj.weight": "blk.1.attn_q_a.weight",
    LAYER + "2.self_attn.kv_b_proj.weight": "blk.2.attn_",  # _k_b or _v_b
    LAYER + "0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
    LAYER + "1.mlp.gate.weight": "blk.1.ffn_gate_inp.weight",
    LAYER + "2.mlp.gate.e_score_correction_bias": "blk.2.exp_probs_b.bias",
    LAYER + "1.mlp.shared_experts.gate_proj.weight": "blk.1.ffn_gate_shexp.weight",
    LAYER + "1.mlp.experts.3.up_proj.weight_packed": EXPERTS + ", expert 3",
    LAYER + "1.mlp.experts.5.down_proj.weight_scale": EXPERTS + ", expert 5",
    LAYER + "1.mlp.experts.0.gate_proj.weight_shape": "",
    "lm_head.weight": "output.weight",
    "header": "",
    "config.json": "",
    "tiktoken.model": "",
}
TRIALS = [("file", name) for name in IN_FILE] + [("checkpoint", name) for name in IN_CHECKPOINT]
NUM_FLIPS = int(os.environ.get("KIMI_CPU_TEST_FLIPS", "40"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(checkpoint with a tokenizer, its model file with bf16 matrices)."""
    folder = tmp_path_factory.mktemp("pair")
    shutil.copy(Path(__file__).parents[1] / "data" / "tiny" / "base" / "tiktoken.model", tiny.make(folder / "in"))
    convert(folder / "in", folder / "out.gguf", dense="bf16")
    return folder / "in", folder / "out.gguf"


def flip(path: Path, start: int, stop: int, rng) -> int:
    """Flips one random bit of the bytes [start, stop); returns the byte."""
    at = int(rng.integers(start, stop))
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0] ^ (1 << int(rng.integers(8)))
        file.seek(at)
        file.write(bytes([byte]))
    return at


def flip_in_file(path: Path, name: str, rng) -> tuple[list[str], type]:
    """Flips a bit of a class; returns what the message must hold, and the exception."""
    with ModelFile.open(path) as file:
        tensors, head = dict(file.tensors), len(file.header())
        experts, parts = file.experts(1)
        experts = experts.shape
    start = tensors[EXPERTS].offset
    if name == "header":
        flip(path, 0, head, rng)
        return ["the header"], ModelFileError
    if name == "padding":
        end = tensors["blk.0.attn_norm.weight"].offset + tensors["blk.0.attn_norm.weight"].nbytes
        flip(path, end, rows16.pad(end, 4096), rng)
        return ["padding after tensor blk.0.attn_norm.weight"], ModelFileError
    if name in tensors:
        flip(path, tensors[name].offset, tensors[name].offset + tensors[name].nbytes, rng)
        return [f"tensor {name} "], ModelFileError
    expert = int(rng.integers(experts[0]))
    start += expert * experts[1]
    if name == "end of an expert":
        used = sum(rows16.packed_bytes(part.kind, part.rows, part.cols) for part in parts.values())
        flip(path, start + used, start + experts[1], rng)
    else:
        block = start + 288 * int(rng.integers(8))
        flip(path, *((block, block + 32) if name == "scales" else (block + 32, block + 288)), rng)
    return [f"tensor {EXPERTS}, expert {expert} "], ModelFileError


def flip_in_checkpoint(folder: Path, name: str, rng) -> tuple[list[str], type]:
    """The same in a copy of the checkpoint."""
    shards = sorted(folder.glob("*.safetensors"))
    if name == "header":
        shard = shards[int(rng.integers(len(shards)))]
        flip(shard, 0, 8 + int.from_bytes(shard.read_bytes()[:8], "little"), rng)
        return ["The header of", shard.name], CheckpointError
    if (folder / name).exists():
        flip(folder / name, 0, (folder / name).stat().st_size, rng)
        return [name if name == "tiktoken.model" else ""], KimiError
    for shard in shards:
        raw = shard.read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + size])
        if name in header:
            flip(shard, *(8 + size + at for at in header[name]["data_offsets"]), rng)
            return [shard.name, f"tensor {name} ", IN_CHECKPOINT[name]], CheckpointError
    raise AssertionError(name)


@pytest.mark.parametrize("trial", range(NUM_FLIPS))
def test_flipped_bit_is_noticed_and_named(pair, tmp_path, trial):
    side, name = TRIALS[trial % len(TRIALS)]
    rng = np.random.default_rng(trial)
    checkpoint, file = pair
    if side == "file":
        file = Path(shutil.copy(file, tmp_path / "bad.gguf"))
        expected, kind = flip_in_file(file, name, rng)
    else:
        checkpoint = Path(shutil.copytree(checkpoint, tmp_path / "bad"))
        expected, kind = flip_in_checkpoint(checkpoint, name, rng)
    with pytest.raises(kind) as error:
        verify(file, against=checkpoint)
    for part in expected:
        assert part in str(error.value)


def test_untouched_file_is_equal_to_its_checkpoint(pair):
    seen = []
    report = verify(pair[1], against=pair[0], progress=lambda *step: seen.append(step))
    assert report.int4_values == 2 * 8 * 3 * 64 * 32
    assert report.scales == report.int4_values // 32
    assert report.num_experts == 16
    assert not report.errors
    assert seen[-1][0] == seen[-1][1] == max(done for done, _, _ in seen)


def test_hashes_alone_are_checked_without_the_checkpoint(pair):
    report = verify(pair[1], jobs=1)
    assert report.against is None
    assert report.nbytes == pair[1].stat().st_size


@pytest.mark.parametrize("overrides", [{"q_lora_rank": None, "v_head_dim": 13}, {"qk_nope_head_dim": 17}])
def test_odd_shapes_are_equal_in_both_kinds(tmp_path, overrides):
    tiny.make(tmp_path / "in", **overrides)
    for dense in ("q8_0", "bf16"):
        convert(tmp_path / "in", tmp_path / "out.gguf", dense=dense, force=True)
        assert verify(tmp_path / "out.gguf", against=tmp_path / "in").int4_values


def test_largest_error_of_8_bit_matrices_is_half_a_step(pair, tmp_path):
    convert(pair[0], tmp_path / "q8.gguf")
    report = verify(tmp_path / "q8.gguf", against=pair[0])
    assert {"token_embd", "attn_k_b", "ffn_down_shexp", "output"} <= report.errors.keys()
    assert "ffn_exps" not in report.errors
    for error in report.errors.values():
        assert error.kind == "q8"
        assert 0.0035 < error.relative < 0.5 / 127 * (1 + 2**-8)


def test_reported_error_is_that_of_the_values_in_the_file(pair, tmp_path):
    convert(pair[0], tmp_path / "q8.gguf")
    report = verify(tmp_path / "q8.gguf", against=pair[0])
    with ModelFile.open(tmp_path / "q8.gguf") as file, open_against(file, pair[0]) as comparison:
        stored = rows16.unpack(file.matrix("output.weight"))
        exact = comparison.source.values("lm_head.weight")
    assert report.errors["output"].absolute == np.abs(stored - exact).max()


def test_damage_to_many_tensors_is_listed_up_to_a_few(pair, tmp_path):
    path = Path(shutil.copy(pair[1], tmp_path / "bad.gguf"))
    with ModelFile.open(path) as file:
        names = [name for name in file.tensors if ".attn_" in name]
        for name in names:
            flip(path, file.tensors[name].offset, file.tensors[name].offset + 1, np.random.default_rng(0))
    with pytest.raises(ModelFileError, match=f"{names[0]}; .*{names[4]}; and {len(names) - 5} more"):
        verify(path)


def test_values_that_differ_although_the_hashes_hold_are_named_on_both_sides(pair, tmp_path):
    """A file that a wrong converter made: its hashes confirm it."""
    other = Path(shutil.copytree(pair[0], tmp_path / "in"))
    flip_in_checkpoint(other, LAYER + "1.mlp.experts.3.up_proj.weight_packed", np.random.default_rng(1))
    convert(other, tmp_path / "wrong.gguf", dense="bf16")
    verify(tmp_path / "wrong.gguf")
    with pytest.raises(CheckpointError, match=r"experts\.3\.up_proj\.weight_packed and tensor .*expert 3"):
        verify(tmp_path / "wrong.gguf", against=pair[0])


def test_packer_that_is_wrong_both_times_is_found_out(pair, tmp_path, monkeypatch):
    right = pack.pack_int4

    def wrong(packed, scales):
        data, bad = right(packed, scales)
        return np.roll(data, 4), bad

    monkeypatch.setattr(pack, "pack_int4", wrong)
    convert(pair[0], tmp_path / "wrong.gguf")
    with pytest.raises(CheckpointError, match="the packer is wrong"):
        verify(tmp_path / "wrong.gguf", against=pair[0])


def test_another_checkpoint_is_told_apart(pair, tmp_path):
    other = tiny.make(tmp_path / "other", seed=1)
    shutil.copy(pair[0] / "tiktoken.model", other)
    with pytest.raises(CheckpointError, match=r"model\.embed_tokens\.weight .*; and \d+ more"):
        verify(pair[1], against=other)


def test_checkpoint_of_other_shapes_is_told_apart_by_its_files(pair, tmp_path):
    with pytest.raises(CheckpointError, match=r"other/model-.*\.safetensors has .* bytes"):
        verify(pair[1], against=tiny.make(tmp_path / "other", num_hidden_layers=2))


def test_checkpoint_that_is_not_there_is_named(pair, tmp_path):
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'none'}: there is no such checkpoint"):
        verify(pair[1], against=tmp_path / "none")


def test_shard_that_is_not_there_is_named(pair, tmp_path):
    other = Path(shutil.copytree(pair[0], tmp_path / "in"))
    shard = max(other.glob("*.safetensors"))
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"{shard}: is missing"):
        verify(pair[1], against=other)


@pytest.mark.parametrize("size", [0, 3, 100, 5000, -40000, -4096, -1])
def test_cut_file_is_refused(pair, tmp_path, size):
    path = Path(shutil.copy(pair[1], tmp_path / "cut.gguf"))
    os.truncate(path, size % path.stat().st_size)
    with pytest.raises(ModelFileError, match=r"cut\.gguf"):
        verify(path)


def test_bytes_after_the_end_are_noticed(pair, tmp_path):
    path = tmp_path / "long.gguf"
    path.write_bytes(pair[1].read_bytes() + b"x")
    with pytest.raises(ModelFileError, match="bytes, its header says"):
        verify(path)


def test_command_prints_what_was_proved(pair):
    result = CliRunner().invoke(command, [str(pair[1]), "--against", str(pair[0])])
    assert result.exit_code == 0
    assert "every hash is right" in result.output
    assert "98,304 INT4 values with 3,072 scales" in result.output


def fp8_checkpoint(folder: Path) -> Path:
    """A checkpoint whose experts are in FP8."""
    quantization = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    config = tiny.BASE | {"quantization_config": quantization}
    tensors, rng = tiny.tensors(config, 0, "bf16"), np.random.default_rng(0)
    for name in [name for name in tensors if ".experts." in name]:
        tensors[name] = ("F8_E4M3", rng.integers(0, 0x70, tensors[name][1].shape, dtype=np.uint8))
        tensors[name + "_scale_inv"] = ("F32", np.full((1, 1), 0.001, np.float32))
    tiny.write(folder, config, tensors)
    return folder


def test_experts_that_were_rounded_to_int4_are_reported(tmp_path):
    convert(fp8_checkpoint(tmp_path / "in"), tmp_path / "out.gguf", dense="bf16")
    report = verify(tmp_path / "out.gguf", against=tmp_path / "in")
    assert report.int4_values == 0
    assert report.errors.keys() == {"ffn_exps"}
    assert report.errors["ffn_exps"].kind == "int4"
    assert (
        0.05 < report.errors["ffn_exps"].relative < 1 / 8 + 2**-8
    )  # clipped at 7 of 8 steps, and the scale itself rounded


def test_file_made_from_another_gguf_file_is_equal_to_it(pair, tmp_path):
    checkpoint = tiny.make(tmp_path / "in", vocab_size=512)
    shutil.copy(pair[0] / "tiktoken.model", checkpoint)
    convert(checkpoint, tmp_path / "standard.gguf", layout="standard", dense="bf16")
    convert(tmp_path / "standard.gguf", tmp_path / "out.gguf")
    report = verify(tmp_path / "out.gguf", against=tmp_path / "standard.gguf")
    assert report.int4_values == 2 * 8 * 3 * 64 * 32
    assert "ffn_exps" not in report.errors


def test_scales_that_bf16_cannot_hold_are_counted(pair, tmp_path):
    """Of an F16 scale in a GGUF file; the values stay what they are."""
    checkpoint = tiny.make(tmp_path / "in", vocab_size=512)
    convert(checkpoint, tmp_path / "standard.gguf", layout="standard")
    with ModelFile.open(tmp_path / "standard.gguf") as file:
        at = file.tensors["blk.1.ffn_gate_exps.weight"].offset
    with (tmp_path / "standard.gguf").open("r+b") as file:
        file.seek(at)
        file.write(np.float16(0.1).tobytes())  # 11 bits
    convert(tmp_path / "standard.gguf", tmp_path / "out.gguf")
    report = verify(tmp_path / "out.gguf", against=tmp_path / "standard.gguf")
    assert "1 float16 scales of Q4_0 blocks had to be rounded to bfloat16." in report.warnings


@pytest.mark.parametrize("against", [False, True])
def test_verification_that_is_interrupted_reads_no_more(pair, monkeypatch, against):
    checkpoint, file = pair[0], pair[1]
    read, reads, asked = os.pread, [], []

    def slow(*args):
        time.sleep(0.002)
        reads.append(args)
        return read(*args)

    def interrupt(done, total, name):
        asked.append(len(reads))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pread", slow)
    with pytest.raises(KeyboardInterrupt):
        verify(file, checkpoint if against else None, jobs=1, progress=interrupt)
    stopped = len(reads)
    verify(file, checkpoint if against else None, jobs=1)
    assert stopped <= asked[0] + 5 < (len(reads) - stopped) // 2


def rewritten(path, out, change):
    """The file after a change of its pieces, with right hashes."""
    pieces = gguf_bytes.read(path)
    change(pieces)
    gguf_bytes.write(out, pieces)
    return out


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize(
    ("name", "offset", "what"),
    [
        ("blk.0.attn_norm.weight", 8, "F32"),
        ("blk.1.exp_probs_b.bias", 0, "F32"),
        ("token_embd.weight", 1024 * 3 + 6, "bf16"),
        ("blk.1.ffn_exps.weight", 288 + 4, "scale"),
        ("output.weight", 2, "bf16"),
    ],
)
def test_weights_that_cannot_be_computed_with_are_named_though_the_hashes_are_right(
    pair, tmp_path, name, offset, what, value
):
    def spoil(pieces):
        tensor, data = pieces.tensor(name), np.array([value], np.float32)
        stored = data.tobytes() if what == "F32" else f32_to_bf16(data).tobytes()
        tensor.data = tensor.data[:offset] + stored + tensor.data[offset + len(stored) :]

    path = rewritten(pair[1], tmp_path / "bad.gguf", spoil)
    with pytest.raises(
        ModelFileError, match=rf"bad\.gguf: tensor {name}.* holds weights that are NaN, infinite or beyond"
    ):
        verify(path)


def test_good_file_has_no_weights_that_cannot_be_computed_with(pair, tiny_file, tiny_exact):
    for path in (pair[1], tiny_file, tiny_exact):
        assert verify(path).num_tensors


def test_tokenizer_that_does_not_load_is_refused_though_the_hashes_are_right(tiny_file, tmp_path):
    def spoil(pieces):
        pieces.tensor("tokenizer.ranks").data = b"YQ== 7\n".ljust(len(pieces.tensor("tokenizer.ranks").data))

    path = rewritten(tiny_file, tmp_path / "bad.gguf", spoil)
    with pytest.raises(ModelFileError, match=r"bad\.gguf: The rank file does not give the ranks"):
        verify(path)


def test_extra_tensor_of_endless_experts_ends_at_once(tiny_file, tmp_path):
    """Its hashes would have 2^62 rows."""
    extra = gguf_bytes.Tensor("zzz.ffn_exps.weight", [0, 2**62], gguf_bytes.I8, b"")
    path = rewritten(tiny_file, tmp_path / "bad.gguf", lambda pieces: pieces.tensors.append(extra))
    with pytest.raises(ModelFileError, match=r"zzz\.ffn_exps\.weight has no elements"):
        verify(path)


def test_pipe_is_no_model_file_to_verify(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ModelFileError, match="this is a pipe and no file"):
        verify(tmp_path / "fifo")


@pytest.mark.parametrize(
    "source",
    [
        *("", "{", "3", "[" * 100_000, "{}", '{"files": 3}', '{"files": [3]}', '{"files": [{"name": "a"}]}'),
        *(
            json.dumps({"files": [{"name": name, "size": size, "header_sha256": digest}]})
            for name, size, digest in (
                *((3, 1, ""), ("a", "1", ""), ("a", 1, 3), ("../in/config.json", 1, ""), ("/dev/zero", 1, "")),
                *(("a\0", 1, ""), ("", 1, ""), (None, 1, "")),
            )
        ),
    ],
)
def test_file_that_does_not_say_what_it_was_made_from_is_refused(pair, tmp_path, source):
    def spoil(pieces):
        pieces.set("kimi-cpu.source", STRING, source)

    path = rewritten(pair[1], tmp_path / "bad.gguf", spoil)
    assert verify(path).num_tensors
    with pytest.raises(ModelFileError, match=r"bad\.gguf: metadata kimi-cpu\.source is missing or corrupt"):
        verify(path, against=pair[0])
