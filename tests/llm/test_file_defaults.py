"""What the generation_config.json in a model file says is taken where a request says nothing."""

import json
import shutil

import pytest

import kimi_cpu
from kimi_cpu.errors import ModelFileError


def converted(checkpoint, folder, **said):
    """A model file whose checkpoint says something."""
    shutil.copytree(checkpoint, folder / "checkpoint")
    path = folder / "checkpoint" / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    kimi_cpu.convert(folder / "checkpoint", folder / "model.gguf")
    return folder / "model.gguf"


def texts(llm, **options):
    return {llm.generate("abc", max_tokens=16, seed=seed, **options).text for seed in range(3)}


def test_a_temperature_in_the_file_is_taken_unless_the_request_has_one(tiny_checkpoint, tmp_path):
    with kimi_cpu.load(converted(tiny_checkpoint, tmp_path, temperature=0.0), context=64) as llm:
        assert texts(llm) == texts(llm, temperature=0) == texts(llm, sampling=kimi_cpu.Sampling())
        assert len(texts(llm)) == 1
        assert len(texts(llm, temperature=1.0)) == 3


def test_without_one_in_the_file_the_temperature_is_one(tiny_file):
    with kimi_cpu.load(tiny_file, context=64) as llm:
        assert texts(llm) == texts(llm, temperature=1.0) != texts(llm, temperature=0.5)


def test_a_temperature_that_cannot_be_is_refused_in_a_sentence(tiny_checkpoint, tmp_path):
    path = converted(tiny_checkpoint, tmp_path, temperature="warm")
    with pytest.raises(ModelFileError, match=r"model\.gguf: metadata kimi-cpu\.generation_config: .*temperature.*warm"):
        kimi_cpu.load(path)
