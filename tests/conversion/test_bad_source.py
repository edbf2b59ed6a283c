"""A checkpoint that is broken, incomplete or hostile gives one sentence that names file and tensor, and no output."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kimi_cpu.cli import main
from kimi_cpu.conversion.checkpoint import open_source
from tests import tiny

EXPERT = "model.layers.1.mlp.experts.3.up_proj"
NORM = "model.layers.2.input_layernorm.weight"
FIRST, SECOND = "model-00001-of-000002.safetensors", "model-00002-of-000002.safetensors"
CORRUPT = 5  # exit code: corrupt or wrong file


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """(config, tensors) of a checkpoint that converts."""
    config = tiny.BASE | {"quantization_config": tiny.QUANTIZATION}
    return config, tiny.tensors(config, 0, "int4")


def refused(source, tmp_path, capsys, monkeypatch, layout="native"):
    """The one line that `kimi-cpu convert` says; its exit code is CORRUPT and it leaves no file."""
    out = tmp_path / "out" / "model.gguf"
    out.parent.mkdir(exist_ok=True)
    monkeypatch.setattr(sys, "argv", ["kimi-cpu", "convert", str(source), "-o", str(out), "--layout", layout])
    with pytest.raises(SystemExit) as exit_:
        main()
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert exit_.value.code == CORRUPT, said.err
    assert said.out == "" and len(lines) == 1 and lines[0].startswith("kimi-cpu: "), said.err
    assert list(out.parent.iterdir()) == []
    return lines[0]


@pytest.fixture
def said_of(tmp_path, capsys, monkeypatch):
    """The line for a checkpoint directory."""
    return lambda source, **kwargs: refused(source, tmp_path, capsys, monkeypatch, **kwargs)


def header_of(file):
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def rewrite(file, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


# What is wrong with the tensors: (name of the change, change of the dictionary of tensors, what the line must contain)
def _drop(name):
    return lambda tensors: tensors.pop(name)


def _replace(name, dtype, array):
    return lambda tensors: tensors.update({name: (dtype, array)})


def _scale(value):
    def change(tensors):
        scales = tensors[EXPERT + ".weight_scale"][1].copy()
        scales[7, 1] = value
        tensors[EXPERT + ".weight_scale"] = ("BF16", scales)

    return change


def _element(name, value):
    def change(tensors):
        dtype, array = tensors[name]
        array = array.copy()
        array.flat[5] = value
        tensors[name] = (dtype, array)

    return change


BAD_TENSORS = {
    "missing vector": (_drop(NORM), [NORM, "missing"]),
    "missing matrix": (_drop("lm_head.weight"), ["lm_head.weight", "missing"]),
    "missing scale": (_drop(EXPERT + ".weight_scale"), [EXPERT + ".weight_scale", "missing"]),
    "missing shape": (_drop(EXPERT + ".weight_shape"), [EXPERT + ".weight_shape", "missing"]),
    "missing expert": (_drop(EXPERT + ".weight_packed"), [EXPERT + ".weight", "missing"]),
    "vector of another length": (
        _replace(NORM, "BF16", np.zeros(65, np.uint16)),
        [SECOND, NORM, "[65]", "[64]"],
    ),
    "matrix of another shape": (
        _replace("lm_head.weight", "BF16", np.zeros((159, 64), np.uint16)),
        [SECOND, "lm_head.weight", "[159, 64]", "[160, 64]"],
    ),
    "packed matrix of another shape": (
        _replace(EXPERT + ".weight_packed", "I32", np.zeros((32, 9), np.int32)),
        [FIRST, EXPERT + ".weight_packed", "[32, 9]", "[32, 8]"],
    ),
    "scales of another group size": (
        _replace(EXPERT + ".weight_scale", "BF16", np.zeros((32, 4), np.uint16)),
        [FIRST, EXPERT + ".weight_scale", "[32, 4]", "[32, 2]"],
    ),
    "shape that lies": (
        _replace(EXPERT + ".weight_shape", "I32", np.array([32, 63], np.int32)),
        [FIRST, EXPERT + ".weight_shape", "[32, 63]", "[32, 64]"],
    ),
    "scales in another type": (
        _replace(EXPERT + ".weight_scale", "I16", np.zeros((32, 2), np.int16)),
        [FIRST, EXPERT + ".weight_scale", "I16"],
    ),
    "float16 scales that bfloat16 cannot hold": (
        _replace(EXPERT + ".weight_scale", "F16", np.full((32, 2), 1 + 2**-10, np.float16)),
        [FIRST, EXPERT + ".weight_scale", "64 F16 scales", "bfloat16", "take a checkpoint"],
    ),
    "float32 scales of which one is no number": (
        _replace(EXPERT + ".weight_scale", "F32", np.array([[np.nan, 1]] * 32, np.float32)),
        [FIRST, EXPERT + ".weight_scale", "not finite"],
    ),
    "integers for a norm": (_replace(NORM, "I32", np.zeros(64, np.int32)), [SECOND, NORM, "I32"]),
    "packed and plain at once": (
        _replace(EXPERT + ".weight", "BF16", np.zeros((32, 64), np.uint16)),
        [EXPERT + ".weight", "both"],
    ),
    "float8 without its scales": (
        _replace("lm_head.weight", "F8_E4M3", np.zeros((160, 64), np.uint8)),
        ["lm_head.weight_scale_inv", "missing"],
    ),
    "stranger inside a layer": (
        _replace("model.layers.1.mlp.experts.3.bias", "BF16", np.zeros(3, np.uint16)),
        [SECOND, "model.layers.1.mlp.experts.3.bias"],
    ),
    "expert beyond the last": (
        _replace("model.layers.1.mlp.experts.8.up_proj.weight", "BF16", np.zeros((32, 64), np.uint16)),
        ["experts.8.up_proj.weight"],
    ),
    "infinite scale": (_scale(0x7F80), [FIRST, EXPERT + ".weight_scale", "not finite"]),
    "scale that is no number": (_scale(0xFFC1), [FIRST, EXPERT + ".weight_scale", "not finite"]),
    "infinite weight": (_element("lm_head.weight", 0xFF80), [SECOND, "lm_head.weight", "infinite"]),
    "norm that is no number": (_element(NORM, 0x7FC0), [SECOND, NORM, "NaN"]),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_bad_tensors_are_refused_by_name(name, good, tmp_path, said_of):
    config, tensors = good[0], dict(good[1])
    change, parts = BAD_TENSORS[name]
    change(tensors)
    tiny.write(tmp_path / "in", config, tensors)
    line = said_of(tmp_path / "in")
    assert all(part in line for part in parts), line


@pytest.mark.parametrize("name", ["infinite scale", "infinite weight", "norm that is no number"])
def test_bad_values_are_refused_in_the_standard_layout_too(name, good, tmp_path, said_of):
    config, tensors = good[0], dict(good[1])
    change, parts = BAD_TENSORS[name]
    change(tensors)
    tiny.write(tmp_path / "in", config, tensors)
    line = said_of(tmp_path / "in", layout="standard")
    assert all(part in line for part in parts), line


# What is wrong with the header of the first shard: (change of (header, data) -> (header, data), what the line contains)
def _entry(**changes):
    def change(header, data):
        header[EXPERT + ".weight_scale"] |= changes
        return header, data

    return change


def _twice(header, data):
    entry = json.dumps(header[EXPERT + ".weight_scale"])
    text = json.dumps(header)
    return (text[:-1] + f', "{EXPERT}.weight_scale": {entry}}}').encode(), data


def _overlap(header, data):
    names = [n for n in header if n != "__metadata__" and header[n]["dtype"] == "BF16"]
    names = [n for n in names if n.endswith("weight_scale")][:2]
    header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]
    header[names[1]]["shape"] = header[names[0]]["shape"]
    return header, data


HOSTILE = {
    "cut data": (lambda header, data: (header, data[:-100]), ["cut short", "tensor"]),
    "trailing bytes": (lambda header, data: (header, data + b"xyz"), ["3 bytes", "no tensor"]),
    "unknown dtype": (_entry(dtype="Q3"), [EXPERT + ".weight_scale", "Q3"]),
    "dtype that is a list": (_entry(dtype=["BF16"]), [EXPERT + ".weight_scale", "dtype"]),
    "huge shape": (_entry(shape=[2**62, 2**62]), [EXPERT + ".weight_scale"]),
    "negative shape": (_entry(shape=[-32, -2]), [EXPERT + ".weight_scale"]),
    "shape of floats": (_entry(shape=[32.0, 2.0]), [EXPERT + ".weight_scale"]),
    "offsets beyond the file": (_entry(data_offsets=[2**40, 2**40 + 128]), [EXPERT + ".weight_scale", "cut short"]),
    "offsets in reverse": (_entry(data_offsets=[256, 128]), [EXPERT + ".weight_scale"]),
    "offsets of another size": (_entry(data_offsets=[0, 4]), [EXPERT + ".weight_scale"]),
    "three offsets": (_entry(data_offsets=[0, 4, 8]), [EXPERT + ".weight_scale"]),
    "overlapping tensors": (_overlap, ["overlap", "weight_scale"]),
    "a name twice": (_twice, [EXPERT + ".weight_scale", "twice"]),
    "no JSON": (lambda header, data: (b"{nonsense", data), ["JSON"]),
    "no object": (lambda header, data: (b"[1, 2]", data), ["JSON object"]),
    "no UTF-8": (lambda header, data: (b'{"\xff\xfe": 1}', data), ["JSON"]),
    "endless nesting": (lambda header, data: (b"[" * 200_000, data), ["JSON"]),
    "endless number": (lambda header, data: (b'{"a": {"shape": [' + b"9" * 10_000 + b"]}}", data), ["JSON"]),
    "entry without keys": (lambda header, data: (b'{"a.b": {}}', data), ["a.b"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(name, good, tmp_path, said_of):
    tiny.write(tmp_path / "in", *good)
    change, parts = HOSTILE[name]
    rewrite(tmp_path / "in" / FIRST, *change(*header_of(tmp_path / "in" / FIRST)))
    line = said_of(tmp_path / "in")
    assert FIRST in line and all(part in line for part in parts), line


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 10**9])
def test_a_huge_header_length_is_refused_without_reading_it(length, good, tmp_path, said_of):
    tiny.write(tmp_path / "in", *good)
    data = (tmp_path / "in" / FIRST).read_bytes()
    (tmp_path / "in" / FIRST).write_bytes(length.to_bytes(8, "little") + data[8:])
    assert FIRST in said_of(tmp_path / "in")


@pytest.mark.parametrize("size", [0, 5, 8, 200])
def test_a_shard_cut_inside_its_header_is_refused(size, good, tmp_path, said_of):
    tiny.write(tmp_path / "in", *good)
    data = (tmp_path / "in" / FIRST).read_bytes()
    (tmp_path / "in" / FIRST).write_bytes(data[:size])
    assert FIRST in said_of(tmp_path / "in")


def _index(change):
    def spoil(directory):
        file = directory / "model.safetensors.index.json"
        parsed = json.loads(file.read_text())
        change(parsed)
        file.write_text(json.dumps(parsed))

    return spoil


def _copy_tensor(directory):
    """The second shard holds a tensor of the first one too, with other values."""
    second, more = header_of(directory / SECOND)
    second[NORM.replace("2", "0")] = {"dtype": "BF16", "shape": [64], "data_offsets": [len(more), len(more) + 128]}
    rewrite(directory / SECOND, second, more + bytes(128))


BAD_FILES = {
    "missing shard": (lambda d: (d / SECOND).unlink(), [SECOND, "missing"]),
    "missing index": (lambda d: (d / "model.safetensors.index.json").unlink(), ["index", "missing"]),
    "no weights at all": (lambda d: [f.unlink() for f in d.glob("model*")], ["no safetensors file"]),
    "missing config": (lambda d: (d / "config.json").unlink(), ["config.json", "missing"]),
    "config that is no JSON": (lambda d: (d / "config.json").write_text("{"), ["config.json", "JSON"]),
    "config that is no text": (lambda d: (d / "config.json").write_bytes(b"\xff\xfe\xfd"), ["config.json", "UTF-8"]),
    "index that is no JSON": (lambda d: (d / "model.safetensors.index.json").write_text("x"), ["index.json", "JSON"]),
    "index without a map": (_index(lambda i: i.clear()), ["index.json", "weight_map"]),
    "index that leads outside": (
        _index(lambda i: i["weight_map"].update({NORM: "../../etc/secret.safetensors"})),
        ["index.json", NORM],
    ),
    "index that names no string": (_index(lambda i: i["weight_map"].update({NORM: 7})), ["index.json", NORM]),
    "index with the wrong shard": (_index(lambda i: i["weight_map"].update({NORM: FIRST})), [FIRST, NORM]),
    "missing shards": (
        _index(lambda i: i["weight_map"].update({f"z{n}": f"z{n}.safetensors" for n in range(3)})),
        ["z0.safetensors", "names 5 shards", "2 others", "missing"],
    ),
    "index with a stranger": (_index(lambda i: i["weight_map"].update(ghost=FIRST)), [FIRST, "ghost"]),
    "a tensor in two shards that the index does not name": (
        lambda d: (_copy_tensor(d), _index(lambda i: i["weight_map"].pop(NORM.replace("2", "0")))(d)),
        [SECOND, FIRST, NORM.replace("2", "0"), "index names neither"],
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_by_name(name, good, tmp_path, said_of):
    tiny.write(tmp_path / "in", *good)
    spoil, parts = BAD_FILES[name]
    spoil(tmp_path / "in")
    line = said_of(tmp_path / "in")
    assert all(part in line for part in parts), line


@pytest.mark.parametrize("name", ["config.json", "tiktoken.model", "generation_config.json", FIRST])
def test_a_pipe_a_device_and_a_dead_link_in_a_checkpoint_are_said_at_once(name, good, tmp_path, said_of):
    tiny.write(tmp_path / "in", *good)
    for make in (
        lambda file: os.mkfifo(file),
        lambda file: file.symlink_to("/dev/zero"),
        lambda file: file.symlink_to(tmp_path / "gone"),
    ):
        (tmp_path / "in" / name).unlink(missing_ok=True)
        make(tmp_path / "in" / name)
        assert name in said_of(tmp_path / "in")


def test_of_a_tensor_in_two_shards_the_index_decides(good, tmp_path):
    tiny.write(tmp_path, *good)
    _copy_tensor(tmp_path)
    name = NORM.replace("2", "0")
    with open_source(tmp_path) as source:
        np.testing.assert_array_equal(source.raw(name), good[1][name][1])
        assert source.warnings == []
    _index(lambda i: i["weight_map"].update({name: SECOND}))(tmp_path)
    with open_source(tmp_path) as source:
        np.testing.assert_array_equal(source.raw(name), np.zeros(64, np.uint16))


def test_a_shard_that_the_index_does_not_name_is_ignored_and_said(good, tmp_path):
    tiny.write(tmp_path, *good)
    (tmp_path / "consolidated.safetensors").write_bytes(b"anything")
    (tmp_path / "._model.safetensors").write_bytes(b"of macOS")
    with open_source(tmp_path) as source:
        assert source.warnings == ["Files that the index does not name are ignored: consolidated.safetensors."]


def test_the_installed_command_says_the_same_in_one_line(good, tmp_path):
    tiny.write(tmp_path / "in", *good)
    (tmp_path / "in" / SECOND).unlink()
    command = [sys.executable, "-m", "kimi_cpu", "convert", str(tmp_path / "in"), "-o", str(tmp_path / "out.gguf")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (CORRUPT, "", 1)
    assert SECOND in done.stderr and not list(tmp_path.glob("out*"))
