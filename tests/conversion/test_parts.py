"""Parts of a file, for the stages of a model: each has its own layers, and takes the space of these."""

import os
import shutil

import pytest

import kimi_cpu
from kimi_cpu.conversion import convert
from kimi_cpu.conversion.inspect import inspect
from kimi_cpu.conversion.parts import write_parts
from kimi_cpu.conversion.verify import verify
from kimi_cpu.conversion.verify_parts import verify_parts
from kimi_cpu.errors import ConfigError, ModelFileError
from kimi_cpu.modelfile import ModelFile


@pytest.fixture
def whole(tiny_file, tmp_path):
    os.link(tiny_file, tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


def test_part_has_its_layers_and_holes(whole):
    parts = write_parts(whole, 3, False, None)
    assert [part.name for part in parts] == ["tiny-1-of-3.gguf", "tiny-2-of-3.gguf", "tiny-3-of-3.gguf"]
    with ModelFile.open(whole) as file:
        found = list[int]()
        for path in parts:
            with ModelFile.open(path) as part:
                assert part.config == file.config and part.model_hash() == file.model_hash()
                own = part.own_layers()
                for tensor in file.part(own):
                    assert (part.view(tensor.name) == file.view(tensor.name)).all()
                found += own
            assert path.stat().st_size == whole.stat().st_size
            assert path.stat().st_blocks < whole.stat().st_blocks * 3 // 4
        assert found == list(file.config.layers)
    assert write_parts(whole, 3, False, None) == parts  # again


def test_part_is_no_model_of_its_own(whole):
    for part in write_parts(whole, 2, False, None):
        with pytest.raises(ModelFileError, match="not all of the layers 0 to 3 are there.*--ray-stages"):
            kimi_cpu.load(part)


def test_other_files_are_left_alone(whole):
    other = whole.with_name("tiny-2-of-2.gguf")
    other.write_text("mine")
    with pytest.raises(ConfigError, match="tiny-2-of-2.gguf"):
        write_parts(whole, 2, True, None)
    assert other.read_text() == "mine"
    with pytest.raises(ConfigError, match="4 layers, too few for 5 stages"):
        write_parts(whole, 5, False, None)


def test_part_is_proved_for_itself(whole, tiny_checkpoint):
    for path in write_parts(whole, 3, False, None):
        report = verify(path, tiny_checkpoint)
        with ModelFile.open(path) as part:
            assert report.layers == part.own_layers() and report.num_layers == 4
            assert report.num_tensors == len(inspect(path).tensors) == len(part.own_tensors()) < len(part.tensors)
            own = part.part(report.layers)
        assert report.nbytes < path.stat().st_size and report.int4_values
        flip(path, own[len(own) // 2].offset)
        with pytest.raises(ModelFileError, match=f"tensor {own[len(own) // 2].name}.* not match its SHA-256"):
            verify(path)


def test_part_holds_nothing_of_other_layers(whole):
    part = write_parts(whole, 2, False, None)[0]
    with ModelFile.open(part) as file:
        last, norm = file.tensors["output.weight"], file.tensors["blk.0.attn_norm.weight"]
    flip(part, last.offset)
    with pytest.raises(ModelFileError, match="not match their SHA-256"):
        verify(part)
    damaged = shutil.copy(whole, whole.with_name("damaged.gguf"))  # whole, but the first layer seems to be missing
    with open(damaged, "r+b") as file:
        file.seek(norm.offset)
        file.write(bytes(norm.nbytes))
    with pytest.raises(ModelFileError, match="blk.0.attn_norm.weight does not match its SHA-256"):
        verify(damaged)


def flip(path, at):
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_folder_has_all_parts_of_one_model(whole, tiny_checkpoint, tmp_path, kimi_cpu):
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = [part.rename(folder / part.name) for part in write_parts(whole, 3, False, None)]
    assert [report.path for report in verify_parts(folder)] == parts
    told = kimi_cpu("verify", folder)
    assert told.code == 0 and "tiny-2-of-3.gguf: layers " in told.out and " of 4, " in told.out
    kept = parts[1].rename(tmp_path / "kept")
    assert "tiny-2-of-3.gguf is missing" in kimi_cpu("verify", folder).err
    shutil.copy(parts[0], parts[1])
    assert "have layers 0 to " in kimi_cpu("verify", folder).err
    convert(tiny_checkpoint, parts[1], dense="bf16", force=True)
    assert "tiny-2-of-3.gguf is a part of another model file than tiny-1-of-3.gguf" in kimi_cpu("verify", folder).err
    kept.rename(parts[1])
    assert kimi_cpu("verify", folder).code == 0
    assert "has no parts of a model file, NAME-1-of-2.gguf and so on" in kimi_cpu("verify", tiny_checkpoint).err


def test_command_writes_parts_beside_the_file(kimi_cpu, tiny_checkpoint, tmp_path):
    out = tmp_path / "tiny.gguf"
    done = kimi_cpu("convert", tiny_checkpoint, "-o", out, "--stages", 2)
    assert done.code == 0 and "tiny-2-of-2.gguf" in done.out
    again = kimi_cpu("convert", tiny_checkpoint, "-o", out, "--resume", "--stages", 2)
    assert again.code == 0 and sorted(path.name for path in tmp_path.iterdir()) == [
        "tiny-1-of-2.gguf",
        "tiny-2-of-2.gguf",
        "tiny.gguf",
    ]
    assert kimi_cpu("convert", tiny_checkpoint, "-o", out, "--layout", "standard", "--stages", 2).code == 2
