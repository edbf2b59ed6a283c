"""The one file: what the writer makes the reader and the gguf package read, and bad files are told in a sentence."""

import json
from hashlib import sha256

import gguf
import numpy as np
import pytest

from kimi_cpu.errors import ConfigError, ModelFileError
from kimi_cpu.modelfile import ARCHITECTURE, HASHES, ModelFile, TensorSpec, hash_rows, header_bytes
from kimi_cpu.modelfile.header import read_gguf
from kimi_cpu.modelfile.layout import ALIGNMENT, HashRow
from kimi_cpu.quant import rows16
from tests import tiny

EXPERTS = "blk.0.ffn_exps.weight"
MATRIX_BYTES = rows16.packed_bytes("q8", 20, 40)
PART_BYTES = rows16.packed_bytes("int4", 16, 32)
SPECS = [
    TensorSpec("norm.weight", "F32", (3, 5), 60),
    TensorSpec("blk.0.attn_output.weight", "I8", (MATRIX_BYTES,), MATRIX_BYTES),
    TensorSpec(EXPERTS, "I8", (2, ALIGNMENT), 2 * ALIGNMENT),
    TensorSpec(HASHES, "I8", (7, 32), 7 * 32),
]
DESCRIBED = {
    "blk.0.attn_output.weight": {"kind": "q8", "rows": 20, "cols": 40},
    EXPERTS: {
        "parts": {
            part: {"kind": "int4", "rows": 16, "cols": 32, "offset": i * PART_BYTES}
            for i, part in enumerate(("gate", "up", "down"))
        },
        "stride": ALIGNMENT,
    },
}
METADATA = {
    "general.name": "tiny",
    "kimi-cpu.version": 1,
    "kimi-cpu.config": json.dumps(tiny.BASE),
    "kimi-cpu.tensors": json.dumps(DESCRIBED),
    "kimi-cpu.expert.offsets": [0, 288, 576],
    "a float": 0.5,
    "a flag": True,
}


def contents():
    """Bytes of each tensor but the hashes, by name."""
    rng = np.random.default_rng(0)
    return {spec.name: rng.integers(0, 256, spec.nbytes, np.uint8).tobytes() for spec in SPECS[:-1]}


def build(path, metadata=None, architecture=ARCHITECTURE):
    """A whole file with right hashes. metadata: changes; None removes a key. Returns its path."""
    values = {key: value for key, value in (METADATA | (metadata or {})).items() if value is not None}
    head, offsets = header_bytes(architecture, values, SPECS)
    data, tensors = bytearray(head), contents()
    experts = tensors[EXPERTS]
    rows = [head, tensors["norm.weight"], tensors["blk.0.attn_output.weight"]]
    digests = [sha256(row).digest() for row in [*rows, experts[:ALIGNMENT], experts[ALIGNMENT:]]]
    digests.append(sha256(b"".join(digests[-2:])).digest())
    tensors[HASHES] = b"".join([*digests, sha256(b"".join(digests)).digest()])
    for spec, offset in zip(SPECS, offsets, strict=True):
        data = data.ljust(offset, b"\0") + tensors[spec.name]
    path.write_bytes(data)
    return path


@pytest.fixture
def path(tmp_path):
    return build(tmp_path / "model.gguf")


def use_all(path):
    """Everything that a program asks of a file before it computes."""
    with ModelFile.open(path) as file:
        file.require_native()
        assert file.config.num_hidden_layers
        file.packed_kinds()
        file.array("norm.weight")
        file.matrix("blk.0.attn_output.weight")
        file.experts(0)
        file.hash_rows()


def test_reader_returns_what_the_writer_was_given(path):
    with ModelFile.open(path) as file:
        for key, value in METADATA.items():
            assert file.metadata[key] == value
        assert list(file.tensors) == [spec.name for spec in SPECS]
        for name, data in contents().items():
            assert file.view(name).tobytes() == data
        assert file.architecture == ARCHITECTURE
        assert file.config.hidden_size == tiny.BASE["hidden_size"]


def test_typed_views_have_the_shapes_that_the_header_says(path):
    with ModelFile.open(path) as file:
        array = file.array("norm.weight")
        assert array.shape == (3, 5)
        assert array.tobytes() == contents()["norm.weight"]
        matrix = file.matrix("blk.0.attn_output.weight")
        assert matrix[:3] == ("q8", 20, 40)
        data, parts = file.experts(0)
        assert data.shape == (2, ALIGNMENT)
        assert parts["down"] == ("int4", 16, 32, 2 * PART_BYTES)


def test_views_cannot_be_written_to(path):
    with ModelFile.open(path) as file, pytest.raises(ValueError, match="read-only"):
        file.view("norm.weight")[0] = 1


def test_views_live_on_after_the_file_is_closed(path):
    with ModelFile.open(path) as file:
        view = file.view("norm.weight")
    assert view.tobytes() == contents()["norm.weight"]


def test_gguf_package_reads_the_same_header(path):
    """An oracle that is not ours."""
    reader = gguf.GGUFReader(path)
    with ModelFile.open(path) as file:
        for tensor in reader.tensors:
            info = file.tensors[tensor.name]
            assert info.shape == tuple(reversed(tensor.shape.tolist()))
            assert (info.offset, info.nbytes) == (tensor.data_offset, tensor.n_bytes)
            assert info.ggml_type == tensor.tensor_type.name
        for key, field in reader.fields.items():
            if not key.startswith("GGUF."):
                assert file.metadata[key] == field.contents()


def test_tensors_begin_at_pages(path):
    with ModelFile.open(path) as file:
        assert all(info.offset % ALIGNMENT == 0 for info in file.tensors.values())


def test_header_of_the_same_arguments_is_the_same():
    assert header_bytes(ARCHITECTURE, METADATA, SPECS) == header_bytes(ARCHITECTURE, METADATA, SPECS)


def test_hash_rows_list_header_then_experts_before_their_tensor():
    rows = hash_rows((spec.name, spec.shape) for spec in SPECS[:-1])
    assert rows == [
        HashRow(""),
        HashRow("norm.weight"),
        HashRow("blk.0.attn_output.weight"),
        HashRow(EXPERTS, 0),
        HashRow(EXPERTS, 1),
        HashRow(EXPERTS),
    ]
    assert [str(row) for row in rows[:1] + rows[3:4]] == ["the header", f"tensor {EXPERTS}, expert 0"]


@pytest.mark.parametrize("start", [b"", b"GGML" + bytes(100), bytes(5000), b"PK\3\4" + bytes(5000)])
def test_file_of_another_kind_is_refused(tmp_path, start):
    (tmp_path / "other").write_bytes(start)
    with pytest.raises(ModelFileError, match=r"other.*GGUF"):
        ModelFile.open(tmp_path / "other")


def test_missing_file_and_directory_are_for_the_system_to_name(tmp_path):
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(OSError) as error:
            ModelFile.open(path)
        assert error.value.filename == str(path)


def test_file_cut_at_any_point_is_refused(path, tmp_path):
    whole = path.read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in [*range(0, 300), *range(300, len(whole), 97), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(ModelFileError, match=r"cut\.gguf"):
            use_all(cut)


def test_flipped_bit_of_the_header_is_refused_in_one_sentence(path, tmp_path):
    whole = path.read_bytes()
    used = len(whole[: read_gguf(path).tensors["norm.weight"].offset].rstrip(b"\0"))
    bad = tmp_path / "bad.gguf"
    for bit in range(0, 8 * used, 7):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        bad.write_bytes(data)
        with pytest.raises((ModelFileError, ConfigError)) as error:
            use_all(bad)
        assert str(error.value).count("\n") == 0


def test_other_architecture_is_told_how_to_convert(tmp_path):
    other = build(tmp_path / "other.gguf", architecture="deepseek2")
    with ModelFile.open(other) as file, pytest.raises(ModelFileError, match=r"'deepseek2'; .*kimi-cpu convert"):
        file.require_native()


@pytest.mark.parametrize("version", [0, 2, None])
def test_other_version_is_refused(tmp_path, version):
    other = build(tmp_path / "other.gguf", {"kimi-cpu.version": version})
    with ModelFile.open(other) as file, pytest.raises(ModelFileError, match=f"has format {version}, .* knows 1"):
        file.require_native()


def changed(**entry):
    """kimi-cpu.tensors with another description of the matrix."""
    return json.dumps(DESCRIBED | {"blk.0.attn_output.weight": entry})


def without(part, key):
    """kimi-cpu.tensors without one value of an expert's part."""
    described = json.loads(json.dumps(DESCRIBED))
    del described[EXPERTS]["parts"][part][key]
    return json.dumps(described)


@pytest.mark.parametrize(
    "described",
    [
        *(None, "", "[]", "{", "null", "3", '{"blk.0.attn_output.weight": 3}', changed(), without("up", "offset")),
        *(changed(kind="q8", rows=20), changed(kind="q8", rows=20, cols="40"), changed(kind="q8", rows=20.0, cols=40)),
        *(
            changed(kind="q8", rows=-20, cols=40),
            changed(kind="q9", rows=20, cols=40),
            changed(kind=[], rows=2, cols=4),
        ),
        *(changed(kind="q8", rows=40, cols=40), changed(kind="int4", rows=20, cols=40), changed(parts={})),
        *(without("gate", "kind"), without("down", "rows"), json.dumps({})),
    ],
)
def test_wrong_description_of_the_tensors_is_refused(tmp_path, described):
    """Right hashes: somebody wrote the file so."""
    path = build(tmp_path / "model.gguf", {"kimi-cpu.tensors": described})
    with pytest.raises(ModelFileError, match=r"model\.gguf: .*(kimi-cpu\.tensors|does not have the size|described)"):
        use_all(path)


@pytest.mark.parametrize("config", [None, "", "{", "3"])
def test_configuration_that_cannot_be_read_is_refused(tmp_path, config):
    path = build(tmp_path / "model.gguf", {"kimi-cpu.config": config})
    with ModelFile.open(path) as file, pytest.raises((ModelFileError, ConfigError)):
        assert file.config


def test_wrong_names_and_types_are_named(path):
    with ModelFile.open(path) as file:
        for ask, name in ((file.view, "nothing"), (file.matrix, "norm.weight"), (file.array, EXPERTS)):
            with pytest.raises(ModelFileError, match=name):
                ask(name)
        with pytest.raises(ModelFileError, match=r"blk\.7\.ffn_exps"):
            file.experts(7)
