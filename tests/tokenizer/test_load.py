"""A tokenizer is found in a model file of either layout, in a checkpoint directory and in a bare rank file."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kimi_cpu.errors import KimiError, TokenizerError, TokenizerFileError
from kimi_cpu.modelfile import TensorSpec, header_bytes
from kimi_cpu.tokenizer import Tokenizer, compile_sentencepiece
from kimi_cpu.tokenizer.vocabulary import byte_characters, read_ranks

from .conftest import RANKS_PATH, rank_file

TEXT = "Hello, 世界 <think>don't</think> 12345\n"
CONFIG = {"added_tokens_decoder": {"258": {"content": "<|begin|>"}, "300": {"content": "<|im_end|>"}}}
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # llama.cpp: llama_token_type


def write_gguf(path, architecture, metadata, tensors):
    """A GGUF file of I8 tensors."""
    specs = [TensorSpec(name, "I8", (len(data),), len(data)) for name, data in tensors.items()]
    head, offsets = header_bytes(architecture, metadata, specs)
    with path.open("wb") as file:
        file.write(head)
        for offset, data in zip(offsets, tensors.values(), strict=True):
            file.seek(offset)
            file.write(data)
    return path


@dataclass
class OpenFile:
    """What a tokenizer asks of an open model file."""

    metadata: dict
    tensors: dict
    path: Path = Path("model.gguf")

    def view(self, name):
        return np.frombuffer(self.tensors[name], np.uint8)


def ggml_metadata(tokens, types, pre="kimi-k2"):
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
    }


def small_ggml(small_ranks, count=257, special_types=(CONTROL, USER_DEFINED, UNUSED)):
    tokens = byte_characters(read_ranks(small_ranks))[:count]
    texts = ["<|im_end|>", "<think>", "[PAD259]"]
    return ggml_metadata(tokens + texts, [NORMAL] * len(tokens) + list(special_types))


def test_a_rank_file_of_kimis_size_has_kimis_tokens(kimi):
    assert Tokenizer.load(RANKS_PATH).encode(TEXT) == kimi.encode(TEXT)
    assert Tokenizer.load(str(RANKS_PATH)).special_tokens == kimi.special_tokens


def test_a_checkpoint_directory_names_its_own_special_tokens(tmp_path, small_ranks):
    (tmp_path / "tiktoken.model").write_bytes(small_ranks)
    assert Tokenizer.load(tmp_path).special_tokens["<|im_end|>"] == 259  # Kimi's names after 257 base tokens
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(CONFIG))
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.encode("<|begin|>ab<|im_end|>") == [258, 256, 300]
    assert tokenizer.eos_ids == (300,)
    assert tokenizer.n_vocab == 513


def test_our_model_file_carries_the_compiled_tokenizer(small_ranks):
    tensors = {"tokenizer.ranks": small_ranks, "tokenizer.model": compile_sentencepiece(small_ranks)}
    tokenizer = Tokenizer.from_model_file(OpenFile({"kimi-cpu.tokenizer_config": json.dumps(CONFIG)}, tensors))
    assert tokenizer.encode("<|begin|>ab") == [258, 256]
    assert Tokenizer.from_model_file(OpenFile({}, tensors)).eos_ids == (259, 258)


def test_files_of_both_layouts_load_from_disk(tmp_path, small_ranks):
    tensors = {"tokenizer.model": compile_sentencepiece(small_ranks), "tokenizer.ranks": small_ranks}
    metadata = {"kimi-cpu.tokenizer_config": json.dumps(CONFIG)}
    native = Tokenizer.load(write_gguf(tmp_path / "native.gguf", "kimi-cpu", metadata, tensors))
    assert native.encode("<|begin|>ab<|im_end|>") == [258, 256, 300]
    weights = {"output_norm.weight": bytes(64)}
    standard = Tokenizer.load(write_gguf(tmp_path / "standard.gguf", "deepseek2", small_ggml(small_ranks), weights))
    assert standard.encode("ab<|im_end|>") == [256, 257]
    with pytest.raises(TokenizerError, match="none.gguf"):
        Tokenizer.load(write_gguf(tmp_path / "none.gguf", "deepseek2", {}, weights))


def test_llama_cpps_layout_gives_the_same_ids(kimi, ranks):
    tokens = byte_characters(read_ranks(ranks)) + list(kimi.special_tokens)
    types = [NORMAL] * (len(tokens) - 256) + [CONTROL] * 256
    tokenizer = Tokenizer.from_model_file(OpenFile(ggml_metadata(tokens, types), {}))
    assert tokenizer.encode(TEXT) == kimi.encode(TEXT)
    assert tokenizer.special_tokens == kimi.special_tokens


def test_unused_tokens_of_llama_cpps_layout_are_reserved(small_ranks):
    tokenizer = Tokenizer.from_model_file(OpenFile(small_ggml(small_ranks), {}))
    assert tokenizer.encode("<|im_end|><think>") == [257, 258]
    assert "[PAD259]" not in tokenizer.special_tokens


@pytest.mark.parametrize(
    "metadata",
    [
        lambda ranks: {},
        lambda ranks: {**small_ggml(ranks), "tokenizer.ggml.pre": "gpt-4o"},
        lambda ranks: {**small_ggml(ranks), "tokenizer.ggml.model": "llama"},
        lambda ranks: {**small_ggml(ranks), "tokenizer.ggml.token_type": [NORMAL]},
        lambda ranks: small_ggml(ranks, special_types=(CONTROL, NORMAL, CONTROL)),
        lambda ranks: small_ggml(ranks, count=255),
        lambda ranks: ggml_metadata(["a b"], [NORMAL]),
        lambda ranks: ggml_metadata([5], [NORMAL]),
        lambda ranks: ggml_metadata(5, 5),
    ],
)
def test_a_model_file_without_a_usable_tokenizer_is_refused_by_name(small_ranks, metadata):
    with pytest.raises(TokenizerError, match="model.gguf"):
        Tokenizer.from_model_file(OpenFile(metadata(small_ranks), {}))


@pytest.mark.parametrize("text", ["{", "[1]", '{"added_tokens_decoder": 5}', "\x00", "[" * 100_000])
def test_a_damaged_configuration_is_refused_by_name(tmp_path, small_ranks, text):
    (tmp_path / "tiktoken.model").write_bytes(small_ranks)
    (tmp_path / "tokenizer_config.json").write_text(text)
    with pytest.raises(TokenizerError, match=str(tmp_path)) as caught:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_token_that_no_grammar_could_hold_is_refused_by_name(tmp_path, single_bytes):
    ranks = tmp_path / "tiktoken.model"
    ranks.write_bytes(rank_file([*single_bytes, b"a" * 1024]))
    Tokenizer.load(ranks)
    ranks.write_bytes(rank_file([*single_bytes, b"a" * 1025]))
    with pytest.raises(TokenizerFileError, match="1025 bytes"):
        Tokenizer.load(ranks)


def test_a_missing_path_is_refused_by_name(tmp_path):
    with pytest.raises(TokenizerError, match="nowhere"):
        Tokenizer.load(tmp_path / "nowhere")
    with pytest.raises(TokenizerError, match=r"tiktoken\.model"):
        Tokenizer.load(tmp_path)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n" + bytes(1000))
    with pytest.raises(KimiError, match=r"picture\.png"):
        Tokenizer.load(path)
