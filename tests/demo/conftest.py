"""A small tokenizer of the demonstration model's making."""

import pytest

from tools.train_demo import byte_pairs, recipe, rendering
from tools.train_demo.curriculum import make


@pytest.fixture(scope="session")
def tokenizer_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    texts = ["".join(t for t, _ in rendering.spans(e)) for e in make("short", 0, 600)]
    byte_pairs.write(byte_pairs.learn(texts, recipe.BASE_VOCAB), directory)
    return directory
