"""A conversion makes one whole file, or none."""

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import kimi_cpu
from kimi_cpu import convert
from kimi_cpu.cli import cli
from kimi_cpu.conversion import driver, journal
from kimi_cpu.errors import CheckpointError, ConfigError, KimiError, OutOfDisk
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant import bf16_to_f32, rows16
from tests import tiny

DATA = Path(__file__).parents[1] / "data" / "tiny" / "base"


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_int4_experts_are_kept_bit_for_bit(tmp_path):
    stored = tiny.tensors(tiny.BASE, 0, "int4")
    convert(tiny.make(tmp_path / "in"), tmp_path / "out.gguf")
    with ModelFile.open(tmp_path / "out.gguf") as file:
        data, parts = file.experts(1)
        for expert in (0, 7):
            for name, part in parts.items():
                begin = part.offset
                size = rows16.packed_bytes("int4", part.rows, part.cols)
                matrix = rows16.Matrix("int4", part.rows, part.cols, data[expert, begin : begin + size])
                nibbles, scales = rows16.unpack_int4(matrix)
                module = f"model.layers.1.mlp.experts.{expert}.{name}_proj."
                words = stored[module + "weight_packed"][1].view(np.uint32)
                expected = (words[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15
                np.testing.assert_array_equal(nibbles, expected.reshape(nibbles.shape))
                np.testing.assert_array_equal(scales, stored[module + "weight_scale"][1])


def test_every_expert_begins_at_a_page_and_the_file_says_where(tiny_file):
    with ModelFile.open(tiny_file) as file:
        info = file.tensors["blk.1.ffn_exps.weight"]
        stride = file.metadata["kimi-cpu.expert.stride"]
        assert info.offset % 4096 == stride % 4096 == 0
        assert info.shape == (file.config.n_routed_experts, stride)
        offsets = [part.offset for part in file.experts(1)[1].values()]
        assert file.metadata["kimi-cpu.expert.offsets"] == offsets


def test_file_carries_configuration_and_texts_verbatim(tiny_checkpoint, tiny_file):
    with ModelFile.open(tiny_file) as file:
        assert file.metadata["kimi-cpu.config"] == (tiny_checkpoint / "config.json").read_text()
        assert file.view("tokenizer.ranks").tobytes() == (tiny_checkpoint / "tiktoken.model").read_bytes()
        source = json.loads(file.metadata["kimi-cpu.source"])
        sizes = {f["name"]: f["size"] for f in source["files"]}
        assert sizes == {p.name: p.stat().st_size for p in tiny_checkpoint.glob("*.safetensors")}


@pytest.mark.parametrize(("dense", "kind"), [("q8_0", "q8"), ("bf16", "bf16")])
def test_dense_option_chooses_the_type_of_other_matrices(tiny_checkpoint, tmp_path, dense, kind):
    convert(tiny_checkpoint, tmp_path / "out.gguf", dense=dense)
    with ModelFile.open(tmp_path / "out.gguf") as file:
        assert file.matrix("blk.0.attn_output.weight").kind == kind
        assert file.experts(1)[1]["up"].kind == "int4"


def test_key_value_matrix_is_split_by_head_and_padded(tmp_path):
    config = tiny.BASE | {"qk_nope_head_dim": 15, "v_head_dim": 13}
    stored = bf16_to_f32(tiny.tensors(config, 0, "int4")["model.layers.0.self_attn.kv_b_proj.weight"][1])
    convert(tiny.make(tmp_path / "in", qk_nope_head_dim=15, v_head_dim=13), tmp_path / "out.gguf", dense="bf16")
    heads = stored.reshape(4, 28, 32)
    with ModelFile.open(tmp_path / "out.gguf") as file:
        keys = rows16.unpack(file.matrix("blk.0.attn_k_b.weight")).reshape(4, 16, 32)
        values = rows16.unpack(file.matrix("blk.0.attn_v_b.weight")).reshape(4, 16, 32)
    np.testing.assert_array_equal(keys[:, :15], heads[:, :15])
    np.testing.assert_array_equal(values[:, :13], heads[:, 15:])
    assert not keys[:, 15:].any() and not values[:, 13:].any()


def test_conversion_does_not_depend_on_the_number_of_threads(tiny_checkpoint, tiny_file, tmp_path):
    convert(tiny_checkpoint, tmp_path / "out.gguf", jobs=5)
    assert (tmp_path / "out.gguf").read_bytes() == tiny_file.read_bytes()


def test_progress_ends_at_the_total(tiny_checkpoint, tmp_path):
    seen = []
    convert(tiny_checkpoint, tmp_path / "out.gguf", progress=lambda *args: seen.append(args))
    assert seen[-1][0] == seen[-1][1] and all(a[0] <= b[0] for a, b in zip(seen, seen[1:], strict=False))


def test_checkpoint_without_a_tokenizer_converts_with_a_warning(tmp_path):
    (warning,) = convert(tiny.make(tmp_path / "in"), tmp_path / "out.gguf")
    assert "no tokenizer" in warning


@pytest.mark.parametrize("options", [{"dense": "q4"}, {"layout": "other"}])
def test_unknown_option_is_refused(tiny_checkpoint, tmp_path, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        convert(tiny_checkpoint, tmp_path / "out.gguf", **options)
    assert names(tmp_path) == []


def test_nan_is_refused_by_name_and_nothing_is_left(tmp_path):
    config = tiny.BASE
    stored = tiny.tensors(config, 0, "bf16")
    stored["model.layers.1.self_attn.o_proj.weight"][1][3, 5] = 0x7FC0
    tiny.write(tmp_path / "in", config, stored)
    with pytest.raises(CheckpointError, match=r"layers.1.self_attn.o_proj.weight"):
        convert(tmp_path / "in", tmp_path / "out.gguf")
    assert names(tmp_path) == ["in"]


def test_full_disk_is_one_sentence_and_the_conversion_can_go_on(tiny_checkpoint, tiny_file, tmp_path, monkeypatch):
    left, write = [100], journal.OutputFile.write

    def until_full(self, offset, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, offset, data)

    monkeypatch.setattr(journal.OutputFile, "write", until_full)
    result = CliRunner().invoke(cli, ["convert", str(tiny_checkpoint), "-o", str(tmp_path / "out.gguf")])
    assert isinstance(result.exception, OutOfDisk) and result.exception.exit_code == 4
    assert "disk is full" in str(result.exception) and "--resume" in str(result.exception)
    assert names(tmp_path) == ["out.gguf.journal", "out.gguf.partial"]
    monkeypatch.undo()
    convert(tiny_checkpoint, tmp_path / "out.gguf", resume=True)
    assert names(tmp_path) == ["out.gguf"]
    assert (tmp_path / "out.gguf").read_bytes() == tiny_file.read_bytes()


def test_two_conversions_do_not_write_the_same_file(tiny_checkpoint, tmp_path):
    with journal.OutputFile(tmp_path / "out.gguf.partial"), pytest.raises(KimiError, match="another process"):
        convert(tiny_checkpoint, tmp_path / "out.gguf")
    assert names(tmp_path) == ["out.gguf.partial"]


@pytest.mark.parametrize("direct", [True, False])
def test_what_is_written_is_read_back_with_and_without_the_cache(tmp_path, direct):
    """Whole pages at a page, bytes that begin in the middle of one, and memory that does."""
    rng, size = np.random.default_rng(0), 6 << 20
    expected = np.zeros(size, np.uint8)
    with journal.OutputFile(tmp_path / "file") as file:
        if not direct:
            os.close(file._direct)
            file._direct = -1
        file.resize(size, keep=False)
        for start, stop, shift in [(0, 5 << 20, 1), (5 << 20, (5 << 20) + 600_000, 0), (6_000_001, size - 7, 3)]:
            data = rng.integers(0, 256, stop - start + shift, np.uint8)[shift:]
            file.write(start, data)
            expected[start:stop] = data
        assert file.read(10, 1000) == expected[10:1010].tobytes()
        file.sync()
    assert (tmp_path / "file").read_bytes() == expected.tobytes()


def test_disk_that_refuses_direct_writes_is_written_through_the_cache(tmp_path, monkeypatch):
    data = np.random.default_rng(0).integers(0, 256, 3 << 20, np.uint8)
    with journal.OutputFile(tmp_path / "file") as file:
        pwrite, direct = os.pwrite, file._direct

        def refuse(descriptor, view, offset):
            if descriptor == direct and offset:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return pwrite(descriptor, view[: 1 << 20] if descriptor == direct else view, offset)

        monkeypatch.setattr(journal.os, "pwrite", refuse)
        file.resize(data.nbytes, keep=False)
        file.write(0, data)
    assert (tmp_path / "file").read_bytes() == data.tobytes()


def test_too_little_space_is_noticed_before_the_start(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(driver.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OutOfDisk, match="free"):
        convert(tiny_checkpoint, tmp_path / "out.gguf")
    assert names(tmp_path) == []


def test_missing_output_folder_is_named(tiny_checkpoint, tmp_path):
    with pytest.raises(OSError, match="there is no such folder"):
        convert(tiny_checkpoint, tmp_path / "nowhere" / "out.gguf")


def with_tokenizer(directory, config):
    """A checkpoint with a tokenizer whose tokenizer_config.json is this text."""
    tiny.make(directory, vocab_size=512)
    shutil.copy(DATA / "tiktoken.model", directory)
    (directory / "tokenizer_config.json").write_text(config)
    return directory


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ("{}", r"no token <\|im_end\|>"),
        ('{"added_tokens_decoder": {"258": {"content": "<|im_end|>"}, "7": {"content": "x"}}}', "names id 7"),
        ('{"added_tokens_decoder": {"258": {"content": "<|im_end|>"}, "259": {"content": "<|im_end|>"}}}', "twice"),
        ('{"added_tokens_decoder": {"258": {"content": 5}}}', "holds no text"),
        ('{"added_tokens_decoder": []}', "malformed"),
        ("3", "malformed"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
@pytest.mark.parametrize("layout", ["native", "standard"])
def test_tokenizer_with_which_a_model_would_not_load_is_refused_before_anything_is_written(
    tmp_path, config, what, layout
):
    source = with_tokenizer(tmp_path / "in", config)
    with pytest.raises(CheckpointError, match=what) as error:
        convert(source, tmp_path / "out.gguf", layout=layout)
    assert str(source) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_finished_file_is_what_loading_takes(tmp_path):
    """The same configuration in the checkpoint as in the file, read by the same functions."""
    source = with_tokenizer(tmp_path / "in", '{"added_tokens_decoder": {"258": {"content": "<|im_end|>"}}}')
    convert(source, tmp_path / "out.gguf")
    with kimi_cpu.load(tmp_path / "out.gguf") as llm:
        assert llm.tokenizer.special_tokens["<|im_end|>"] == 258
