"""Parts of a file, for the stages of a model: each has its own layers, and takes the space of these."""

import os

import pytest

import kimi_cpu
from kimi_cpu.conversion.parts import write_parts
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
                own = [layer for layer in file.config.layers if part.has_layer(layer)]
                for tensor in file.part(range(own[0], own[-1] + 1)):
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
