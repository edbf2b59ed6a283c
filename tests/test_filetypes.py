"""A file that is not what it was taken for is said to be what it is, with what to do, wherever it is given."""

import bz2
import codecs
import gzip
import io
import json
import lzma
import pickle
import shutil
import tarfile
import zipfile

import gguf
import numpy as np
import pytest
from click.testing import CliRunner

from kimi_cpu import convert
from kimi_cpu.batch.results import merge
from kimi_cpu.batch.run import BatchOptions, Run
from kimi_cpu.cli import cli
from kimi_cpu.conversion.checkpoint import open_source
from kimi_cpu.conversion.inspect import inspect, preview
from kimi_cpu.conversion.verify import verify
from kimi_cpu.errors import CheckpointError, ConfigError, KimiError, ModelFileError
from kimi_cpu.filetypes import HEAD_BYTES, recognised
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.tokenizer import Tokenizer
from tests import tiny
from tests.batch.fake import FakeModel


def _tar(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _zip(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


def _npy():
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


TEXT = '{"custom_id": "a"}\n' * 40
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 2795286\n"
FOREIGN = {  # what a file holds: what the sentence must say of it
    "git-lfs": (LFS, "Git LFS pointer", "git lfs pull"),
    "html": (b"<!DOCTYPE html>\n<html><title>Sign in</title></html>" * 20, "web page", "download"),
    "html after a mark": (codecs.BOM_UTF8 + b"  <HTML lang=en>" + b"x" * 600, "web page", "download"),
    "gzip": (gzip.compress(TEXT.encode()), "gzip", "gzip -d"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00" + bytes(range(200)), "zstd", "zstd -d"),
    "xz": (lzma.compress(TEXT.encode()), "xz", "xz -d"),
    "bzip2": (bz2.compress(TEXT.encode()), "bzip2", "bzip2 -d"),
    "tar": (_tar("model.gguf", b"GGUF" * 100), "tar archive", "tar -xf"),
    "zip": (_zip("model.gguf", b"GGUF" * 100), "ZIP archive", "unzip"),
    "pytorch": (_zip("pytorch_model/data.pkl", pickle.dumps({})), "PyTorch", "safetensors"),
    "pickle": (pickle.dumps({"weight": list(range(300))}, protocol=2), "pickle", "safetensors"),
    "numpy": (_npy(), "NumPy", "name the file"),
    "utf-16": (TEXT.encode("utf-16"), "UTF-16", "iconv"),
    "utf-16 without a mark": (TEXT.encode("utf-16-le"), "UTF-16", "iconv -f UTF-16LE"),
    "utf-16, big end first": (TEXT.encode("utf-16-be"), "UTF-16", "iconv -f UTF-16BE"),
    "utf-32": (TEXT.encode("utf-32"), "UTF-32", "iconv -f UTF-32"),
    "zeros": (bytes(5000), "not finished", "download"),
}


def said(call, *args):
    """The one sentence with which a call ends."""
    with pytest.raises(KimiError) as error:
        call(*args)
    text = str(error.value)
    assert "\n" not in text and len(text) < 600
    return error.value, text


def check(text, path, name):
    _, what, remedy = FOREIGN[name]
    assert str(path) in text and what in text and remedy in text, text


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(
    "call", [ModelFile.open, verify, inspect, preview, open_source], ids=lambda call: call.__name__
)
def test_a_model_file_that_is_something_else_is_said_to_be_it(tmp_path, name, call):
    path = tmp_path / "model.gguf"
    path.write_bytes(FOREIGN[name][0])
    error, text = said(call, path)
    check(text, path, name)
    assert isinstance(error, ModelFileError) and error.exit_code == 5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, tiny_checkpoint):
    directory = tiny.make(tmp_path_factory.mktemp("checkpoint") / "in")
    shutil.copy(tiny_checkpoint / "tiktoken.model", directory)
    (directory / "generation_config.json").write_text("{}")
    (directory / "tokenizer_config.json").write_text("{}")
    (directory / "chat_template.jinja").write_text("{{ messages }}")
    return directory


PARTS = ["config.json", "tiktoken.model", "generation_config.json", "tokenizer_config.json", "chat_template.jinja"]
PARTS += ["model.safetensors.index.json", "model-00002-of-000002.safetensors"]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("part", PARTS)
def test_any_file_of_a_checkpoint_that_is_something_else_is_said_to_be_it(tmp_path, checkpoint, part, name):
    shutil.copytree(checkpoint, tmp_path / "in")
    assert (tmp_path / "in" / part).exists()
    (tmp_path / "in" / part).write_bytes(FOREIGN[name][0])
    error, text = said(open_source, tmp_path / "in")
    check(text, tmp_path / "in" / part, name)
    assert isinstance(error, CheckpointError)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_rank_file_that_is_something_else_is_said_to_be_it(tmp_path, name):
    (tmp_path / "tiktoken.model").write_bytes(FOREIGN[name][0])
    for path in (tmp_path, tmp_path / "tiktoken.model"):
        check(said(Tokenizer.load, path)[1], tmp_path / "tiktoken.model", name)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("text", [False, True], ids=["requests", "text"])
def test_a_batch_that_is_something_else_is_refused_before_it_begins(tmp_path, name, text):
    if text and name in ("git-lfs", "html", "html after a mark"):
        pytest.skip("a line of text may say so")
    (tmp_path / "in.jsonl").write_bytes(FOREIGN[name][0])
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    error, sentence = said(Run, [FakeModel()], source, out, BatchOptions(text=text))
    check(sentence, source, name)
    assert isinstance(error, ConfigError) and [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("name", FOREIGN)
def test_an_output_to_merge_that_is_something_else_is_said_to_be_it(tmp_path, name):
    (tmp_path / "out.jsonl").write_bytes(FOREIGN[name][0])
    check(said(merge, [tmp_path / "out.jsonl"], io.BytesIO())[1], tmp_path / "out.jsonl", name)


@pytest.mark.parametrize("name", ["gzip", "utf-16", "zstd"])
def test_a_prompt_that_is_something_else_is_said_to_be_it(tmp_path, name):
    (tmp_path / "prompt").write_bytes(FOREIGN[name][0])
    result = CliRunner().invoke(cli, ["run", "-f", str(tmp_path / "prompt")])
    assert result.exit_code == 2
    check(result.stderr, tmp_path / "prompt", name)


def test_what_is_right_is_not_mistaken(tiny_file, tiny_checkpoint):
    assert recognised(b'{"custom_id": "1"}\n') is None
    assert recognised("Wie heißt die Hauptstadt?\n".encode()) is None
    assert recognised((tiny_checkpoint / "tiktoken.model").read_bytes()[:HEAD_BYTES]) is None
    assert recognised((tiny_checkpoint / "config.json").read_bytes()[:HEAD_BYTES]) is None
    assert recognised(tiny_file.read_bytes()[:HEAD_BYTES]).what == "a GGUF file"


def test_a_file_of_a_checkpoint_in_place_of_a_model_file_names_the_directory(checkpoint):
    for part in ("config.json", "model.safetensors.index.json", "model-00001-of-000002.safetensors"):
        for call in (ModelFile.open, open_source):
            _, text = said(call, checkpoint / part)
            assert "kimi-cpu convert takes the directory that it is in" in text, text


@pytest.mark.parametrize("text", ["Entry not found", '{"error":"Repository not found"}'])
def test_the_words_of_a_server_in_place_of_a_file_are_quoted(tmp_path, checkpoint, text):
    (tmp_path / "model.gguf").write_text(text)
    assert repr(text[:40]) in said(ModelFile.open, tmp_path / "model.gguf")[1]
    for part in ("model-00002-of-000002.safetensors", "config.json", "tiktoken.model"):
        shutil.copytree(checkpoint, tmp_path / part)
        (tmp_path / part / part).write_text(text)
        sentence = said(convert, tmp_path / part, tmp_path / "out.gguf")[1]
        assert str(tmp_path / part / part) in sentence
        assert any(remedy in sentence for remedy in ("download it again", "Fetch it again", "give the config")), (
            sentence
        )
    assert not list(tmp_path.glob("out.gguf*"))


def test_a_gguf_file_of_another_byte_order_or_version_is_said_to_be_it(tmp_path):
    path = tmp_path / "big.gguf"
    writer = gguf.GGUFWriter(path, "deepseek2", endianess=gguf.GGUFEndian.BIG)
    writer.add_tensor("a", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "big-endian" in said(ModelFile.open, path)[1] and "little" in said(ModelFile.open, path)[1]
    path.write_bytes(b"GGUF" + (1).to_bytes(4, "little") + bytes(100))
    assert "version 1" in said(ModelFile.open, path)[1] and "newer llama.cpp" in said(ModelFile.open, path)[1]


def test_a_tensor_of_a_type_that_only_a_fork_has_is_refused_with_what_to_take(tmp_path, tiny_checkpoint):
    path = tmp_path / "fork.gguf"
    writer = gguf.GGUFWriter(path, "deepseek2")
    writer.add_tensor("a", np.zeros((2, 256), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    at = data.rindex((1).to_bytes(8, "little") + b"a") + 9 + 4 + 16  # name, number of dimensions, two of them
    assert data[at : at + 4] == bytes(4)  # F32
    path.write_bytes(data[:at] + (144).to_bytes(4, "little") + data[at + 4 :])  # ik_llama.cpp: IQ4_KS
    assert "type 144" in said(ModelFile.open, path)[1] and "Q4_K" in said(ModelFile.open, path)[1]


def _bare(directory, *names, content=b""):
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


DIRECTORIES = {
    "gguf": (["k2-00001-of-00002.gguf", "k2-00002-of-00002.gguf"], "k2-00001-of-00002.gguf"),
    "lora": (["adapter_config.json", "adapter_model.safetensors"], "LoRA adapter"),
    "hub": (["refs/main", "snapshots/abc/config.json"], "snapshots/abc"),
    "nothing": (["README.md"], "give the directory of a Hugging Face checkpoint"),
}


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_directory_without_a_configuration_says_what_to_give_instead(tmp_path, name):
    names, expected = DIRECTORIES[name]
    _bare(tmp_path / "in", *names)
    assert expected in said(open_source, tmp_path / "in")[1]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pytorch_model-00001-of-00002.bin", "PyTorch's pytorch_model-00001-of-00002.bin"),
        (".cache/huggingface/download/a.incomplete", "not finished"),
        ("k2.gguf", "k2.gguf"),
        ("._model.safetensors", "download them"),
    ],
)
def test_a_directory_without_safetensors_says_what_is_there(tmp_path, file, expected):
    _bare(tmp_path / "in", file)
    (tmp_path / "in" / "config.json").write_text(json.dumps(tiny.BASE))
    assert expected in said(open_source, tmp_path / "in")[1]
