"""The one file: what the writer makes the reader and the gguf package read, and bad files are told in a sentence."""

import errno
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
from hashlib import sha256

import gguf
import numpy as np
import pytest

from kimi_cpu.config import config_from_hf
from kimi_cpu.errors import ModelFileError, OutOfMemory
from kimi_cpu.modelfile import ARCHITECTURE, HASHES, ModelFile, TensorSpec, hash_rows, header_bytes
from kimi_cpu.modelfile.header import read_gguf, row_bytes, unmapped
from kimi_cpu.modelfile.layout import ALIGNMENT, EXPERTS_SUFFIX, HashRow, Packed, Vector, contents
from kimi_cpu.quant import rows16
from tests import tiny

CONFIG = tiny.BASE | {
    "vocab_size": 20,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "first_k_dense_replace": 0,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "n_routed_experts": 2,
    "num_experts_per_tok": 1,
    "q_lora_rank": None,
}
WANTED = dict(contents(config_from_hf(CONFIG)[0]))
VECTOR, MATRIX, EXPERTS = "output_norm.weight", "blk.0.attn_output.weight", "blk.0.ffn_exps.weight"
PART_BYTES = rows16.packed_bytes("int4", 32, 32)


def spec_of(name, wanted):
    """How a tensor of the file is stored: matrices in q8, experts in int4."""
    if isinstance(wanted, Vector):
        return TensorSpec(name, "F32", wanted.shape, 4 * math.prod(wanted.shape))
    if isinstance(wanted, Packed):
        nbytes = rows16.packed_bytes("q8", *wanted)
        return TensorSpec(name, "I8", (nbytes,), nbytes)
    return TensorSpec(name, "I8", (wanted.num_experts, ALIGNMENT), wanted.num_experts * ALIGNMENT)


SPECS = [spec_of(name, wanted) for name, wanted in WANTED.items()]


def hashes_of(specs):
    """The last tensor."""
    rows = len(hash_rows((spec.name, spec.shape) for spec in specs)) + 1
    return TensorSpec(HASHES, "I8", (rows, 32), 32 * rows)


SPECS.append(hashes_of(SPECS))
DESCRIBED = {
    name: {"kind": "q8", "rows": wanted.rows, "cols": wanted.cols}
    for name, wanted in WANTED.items()
    if isinstance(wanted, Packed)
} | {
    EXPERTS: {
        "parts": {
            part: {"kind": "int4", "rows": 32, "cols": 32, "offset": i * PART_BYTES}
            for i, part in enumerate(("gate", "up", "down"))
        },
        "stride": ALIGNMENT,
    },
}
METADATA = {
    "general.name": "tiny",
    "kimi-cpu.version": 1,
    "kimi-cpu.config": json.dumps(CONFIG),
    "kimi-cpu.tensors": json.dumps(DESCRIBED),
    "kimi-cpu.expert.offsets": [0, 576, 1152],
    "a float": 0.5,
    "a flag": True,
}


def contents_of(specs=SPECS):
    """Bytes of each tensor but the hashes, by name."""
    rng = np.random.default_rng(0)
    return {spec.name: rng.integers(0, 256, spec.nbytes, np.uint8).tobytes() for spec in specs if spec.name != HASHES}


def build(path, metadata=None, architecture=ARCHITECTURE, specs=SPECS):
    """A whole file with right hashes. metadata: changes; None removes a key. Returns its path."""
    values = {key: value for key, value in (METADATA | (metadata or {})).items() if value is not None}
    head, offsets = header_bytes(architecture, values, specs)
    data, tensors, digests = bytearray(head), contents_of(specs), [sha256(head).digest()]
    for spec in specs[:-1]:
        stored, own = tensors[spec.name], []
        if spec.name.endswith(EXPERTS_SUFFIX):
            stride = len(stored) // spec.shape[0]
            own = [sha256(stored[at : at + stride]).digest() for at in range(0, len(stored), stride)]
        digests += [*own, sha256(b"".join(own) or stored).digest()]
    tensors[HASHES] = b"".join([*digests, sha256(b"".join(digests)).digest()])
    for spec, offset in zip(specs, offsets, strict=True):
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
        file.array(VECTOR)
        file.matrix(MATRIX)
        file.experts(0)
        file.hash_rows()


def test_reader_returns_what_the_writer_was_given(path):
    with ModelFile.open(path) as file:
        for key, value in METADATA.items():
            assert file.metadata[key] == value
        assert list(file.tensors) == [spec.name for spec in SPECS]
        for name, data in contents_of().items():
            assert file.view(name).tobytes() == data
        assert file.architecture == ARCHITECTURE
        assert file.config.hidden_size == CONFIG["hidden_size"]


def test_typed_views_have_the_shapes_that_the_header_says(path):
    with ModelFile.open(path) as file:
        array = file.array(VECTOR)
        assert array.shape == (32,)
        assert array.tobytes() == contents_of()[VECTOR]
        matrix = file.matrix(MATRIX)
        assert matrix[:3] == ("q8", 32, 32)
        data, parts = file.experts(0)
        assert data.shape == (2, ALIGNMENT)
        assert parts["down"] == ("int4", 32, 32, 2 * PART_BYTES)


def test_views_cannot_be_written_to(path):
    with ModelFile.open(path) as file, pytest.raises(ValueError, match="read-only"):
        file.view(VECTOR)[0] = 1


def test_views_live_on_after_the_file_is_closed(path):
    with ModelFile.open(path) as file:
        view = file.view(VECTOR)
    assert view.tobytes() == contents_of()[VECTOR]


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


def test_a_header_needs_no_place_for_temporary_files(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/missing")
    assert header_bytes(ARCHITECTURE, METADATA, SPECS)[0].startswith(b"GGUF")


def test_hash_rows_list_header_then_experts_before_their_tensor():
    rows = hash_rows([(VECTOR, (3,)), (MATRIX, (1024,)), (EXPERTS, (2, ALIGNMENT))])
    assert rows == [
        HashRow(""),
        HashRow(VECTOR),
        HashRow(MATRIX),
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


def test_missing_file_is_for_the_system_to_name(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        ModelFile.open(tmp_path / "none.gguf")
    assert error.value.filename == str(tmp_path / "none.gguf")


def test_file_cut_at_any_point_is_refused(path, tmp_path):
    whole = path.read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in [*range(0, 300), *range(300, len(whole), 97), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(ModelFileError, match=r"cut\.gguf"):
            use_all(cut)


def test_flipped_bit_of_the_header_is_refused_in_one_sentence(path, tmp_path):
    whole = path.read_bytes()
    used = len(whole[: read_gguf(path).tensors[SPECS[0].name].offset].rstrip(b"\0"))
    bad = tmp_path / "bad.gguf"
    for bit in range(0, 8 * used, 7):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        bad.write_bytes(data)
        with pytest.raises(ModelFileError) as error:
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
    return json.dumps(DESCRIBED | {MATRIX: entry})


def without(part, key):
    """kimi-cpu.tensors without one value of an expert's part."""
    described = json.loads(json.dumps(DESCRIBED))
    del described[EXPERTS]["parts"][part][key]
    return json.dumps(described)


def experts(part, **values):
    """kimi-cpu.tensors with other values of an expert's part."""
    described = json.loads(json.dumps(DESCRIBED))
    described[EXPERTS]["parts"][part] |= values
    return json.dumps(described)


@pytest.mark.parametrize(
    "described",
    [
        *(None, "", "[]", "{", "null", "3", json.dumps({MATRIX: 3}), changed(), without("up", "offset")),
        *(changed(kind="q8", rows=32), changed(kind="q8", rows=32, cols="32"), changed(kind="q8", rows=32.0, cols=32)),
        *(
            changed(kind="q8", rows=-32, cols=32),
            changed(kind="q9", rows=32, cols=32),
            changed(kind=[], rows=2, cols=4),
        ),
        *(changed(kind="q8", rows=64, cols=32), changed(kind="int4", rows=32, cols=32), changed(parts={})),
        *(changed(kind="q8", rows=32, cols=32, parts=DESCRIBED[EXPERTS]["parts"]), experts("gate", kind="q8")),
        *(experts("up", offset=0), experts("up", offset=PART_BYTES - 32), experts("up", offset=PART_BYTES + 1)),
        *(experts("down", offset=ALIGNMENT), experts("down", offset=2**62), experts("down", offset=0)),
        *(changed(kind="q8", rows=10**4000, cols=32), experts("up", offset=10**4000)),
        *(experts("down", rows=64), experts("gate", kind="q4"), experts("gate", cols=0)),
        json.dumps(DESCRIBED | {EXPERTS: {"parts": DESCRIBED[EXPERTS]["parts"] | {"other": 7}}}),
        json.dumps(DESCRIBED | {VECTOR: DESCRIBED[MATRIX]}),
        json.dumps(DESCRIBED | {"zzz": DESCRIBED[MATRIX]}),
        "[" * 100_000,
        '{"a":' * 100_000,
        *(without("gate", "kind"), without("down", "rows"), json.dumps({})),
    ],
)
def test_wrong_description_of_the_tensors_is_refused(tmp_path, described):
    """Right hashes: somebody wrote the file so."""
    path = build(tmp_path / "model.gguf", {"kimi-cpu.tensors": described})
    with pytest.raises(ModelFileError, match=r"model\.gguf: .*(kimi-cpu\.tensors|tensor blk\.0\.)") as error:
        use_all(path)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "config", [None, "", "{", "3", "[" * 100_000, "{}", json.dumps(CONFIG | {"rope_theta": 1e300})]
)
def test_configuration_that_cannot_be_read_is_refused(tmp_path, config):
    path = build(tmp_path / "model.gguf", {"kimi-cpu.config": config})
    with ModelFile.open(path) as file, pytest.raises(ModelFileError, match=r"model\.gguf: metadata kimi-cpu\.config"):
        assert file.config


@pytest.mark.parametrize("key", ["tokenizer.chat_template", "kimi-cpu.tokenizer_config", "kimi-cpu.source"])
def test_metadata_that_should_be_text_and_is_a_number_is_refused(tmp_path, key):
    path = build(tmp_path / "model.gguf", {key: 7})
    with ModelFile.open(path) as file, pytest.raises(ModelFileError, match=key):
        assert file.config


@pytest.mark.parametrize("number", range(len(SPECS) - 1))
def test_tensor_that_is_missing_is_named(tmp_path, number):
    specs = [spec for i, spec in enumerate(SPECS) if i != number]
    specs[-1] = hashes_of(specs[:-1])
    path = build(tmp_path / "model.gguf", specs=specs)
    with ModelFile.open(path) as file, pytest.raises(ModelFileError, match=f"{SPECS[number].name} is missing"):
        assert file.config


@pytest.mark.parametrize(
    "name", ["zzz.ffn_exps.weight", "blk.1.attn_norm.weight", "tokenizer.model", "rope_freqs.weight"]
)
@pytest.mark.parametrize("kind", ["I8", "F32"])
def test_tensor_that_the_configuration_does_not_have_is_refused(tmp_path, name, kind):
    specs = [*SPECS[:-1], TensorSpec(name, kind, (16, 4), 64 if kind == "I8" else 256)]
    path = build(tmp_path / "model.gguf", specs=[*specs, hashes_of(specs)])
    with (
        ModelFile.open(path) as file,
        pytest.raises(ModelFileError, match=r"none that its configuration has|is missing"),
    ):
        assert file.config


@pytest.mark.parametrize("kind", ["F16", "BF16", "F64", "I8", "I32", "Q8_0"])
@pytest.mark.parametrize("name", [VECTOR, MATRIX, EXPERTS, "blk.0.ffn_gate_inp.weight"])
def test_tensor_of_another_type_is_refused(tmp_path, name, kind):
    specs = []
    for spec in SPECS[:-1]:
        row = row_bytes(kind, spec.shape[-1]) if spec.name == name else 0
        changed = spec.name == name and spec.ggml_type != kind
        specs.append(spec._replace(ggml_type=kind, nbytes=math.prod(spec.shape[:-1]) * row) if changed else spec)
    if specs == SPECS[:-1]:
        return
    path = build(tmp_path / "model.gguf", specs=[*specs, hashes_of(specs)])
    with ModelFile.open(path) as file, pytest.raises(ModelFileError, match=name):
        assert file.config


def test_tensors_without_elements_are_refused_however_long_they_claim_to_be(tmp_path):
    """Its hashes would have 2^62 rows."""
    specs = [*SPECS[:-1], TensorSpec("zzz.ffn_exps.weight", "I8", (2**62, 0), 0), SPECS[-1]]
    head, offsets = header_bytes(ARCHITECTURE, METADATA, specs)
    path = tmp_path / "model.gguf"
    path.write_bytes(head.ljust(offsets[-1] + specs[-1].nbytes, b"\0"))
    with pytest.raises(ModelFileError, match=r"zzz\.ffn_exps\.weight has no elements"):
        ModelFile.open(path)


def test_file_without_tensors_is_refused(tmp_path):
    head, _ = header_bytes(ARCHITECTURE, METADATA, [])
    (tmp_path / "model.gguf").write_bytes(head)
    with ModelFile.open(tmp_path / "model.gguf") as file, pytest.raises(ModelFileError, match="not the last one"):
        file.require_native()


def test_views_of_names_that_are_not_there_are_refused(path):
    with ModelFile.open(path) as file:
        for ask, name in ((file.view, "nothing"), (file.array, EXPERTS)):
            with pytest.raises(ModelFileError, match=name):
                ask(name)


@pytest.mark.parametrize("what", ["pipe", "device", "directory", "socket"])
def test_what_is_no_file_is_refused_at_once(tmp_path, what):
    path = tmp_path / what
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "directory":
        path.mkdir()
    else:
        socket.socket(socket.AF_UNIX).bind(str(path))
    with pytest.raises(ModelFileError, match=f"{what}: cannot be read"):
        ModelFile.open(path)


def test_file_that_may_not_be_mapped_says_which_limit_to_raise(tmp_path):
    """A process of its own: a limit cannot be taken back."""
    path = tmp_path / "large.gguf"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    code = (
        "import resource, sys\nfrom kimi_cpu.modelfile import ModelFile\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 36, 1 << 36))\n"
        "from kimi_cpu.errors import OutOfMemory\n"
        "try:\n    ModelFile.open(sys.argv[1])\nexcept OutOfMemory as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "large.gguf" in done.stdout
    assert "ulimit -v" in done.stdout


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (errno.ENOMEM, OutOfMemory, "ulimit -v"),
        (errno.ENODEV, ModelFileError, "copy the file to a local disk"),
        (errno.EACCES, ModelFileError, "chmod"),
        (errno.EIO, ModelFileError, "Input/output error"),
    ],
)
def test_file_that_the_system_does_not_map_is_named_with_a_remedy(path, code, kind, remedy):
    """As a shared folder of a virtual machine (ENODEV), a limit, or a disk answers."""
    error = unmapped(path, OSError(code, os.strerror(code)))
    assert type(error) is kind
    assert str(path) in str(error) and remedy in str(error)
