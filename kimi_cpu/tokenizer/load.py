"""Where a tokenizer comes from: a model file, a checkpoint directory, a bare rank file."""

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TokenizerError
from .sentencepiece_model import characters_to_bytes
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from ..modelfile import ModelFile

RANKS_FILE = "tiktoken.model"
CONFIG_FILE = "tokenizer_config.json"
NORMAL, UNUSED = 1, 5  # llama.cpp, llama_token_type: NORMAL, UNUSED
GGUF_PRE_TOKENIZER = "kimi-k2"  # llama.cpp's name of Kimi's pattern


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at a path. TokenizerError: nothing usable there, with the path."""
    if path.is_dir():
        return _from_directory(path)
    if _read(path, 4) == b"GGUF":
        from ..modelfile import ModelFile

        with ModelFile.open(path) as model_file:
            return from_model_file(model_file)
    return _named(path, _read(path), None)


def from_model_file(model_file: "ModelFile") -> Tokenizer:
    """The tokenizer inside an open model file: our two tensors, or llama.cpp's arrays. TokenizerError: neither."""
    metadata = model_file.metadata
    if "tokenizer.ggml.tokens" in metadata:
        return _from_ggml(metadata, model_file.path)
    try:
        ranks = model_file.view("tokenizer.ranks").tobytes()
        compiled = model_file.view("tokenizer.model").tobytes()
    except KeyError as error:
        raise TokenizerError(f"{model_file.path} holds no tokenizer. Convert the model again.") from error
    config = metadata.get("kimi-cpu.tokenizer_config")
    return _named(model_file.path, ranks, None if config is None else _parse(config, model_file.path), compiled)


def _from_directory(path: Path) -> Tokenizer:
    """A checkpoint's tokenizer. Without a tokenizer_config.json the special tokens have K2 Thinking's names."""
    config = path / CONFIG_FILE
    parsed = _parse(_read(config), config) if config.exists() else None
    return _named(path / RANKS_FILE, _read(path / RANKS_FILE), parsed)


def _from_ggml(metadata: dict, path: Path) -> Tokenizer:
    """A tokenizer from tokenizer.ggml.tokens: a NORMAL token's id is its rank, the others are special; the merges
    follow from the ranks. TokenizerError: another pre-tokenisation, or special tokens among the normal ones."""
    pre = metadata.get("tokenizer.ggml.pre")
    if metadata.get("tokenizer.ggml.model") != "gpt2" or pre != GGUF_PRE_TOKENIZER:
        raise TokenizerError(f"{path} holds a tokenizer of kind {pre!r}; only {GGUF_PRE_TOKENIZER!r} is understood.")
    tokens = list(metadata["tokenizer.ggml.tokens"])
    types = list(metadata.get("tokenizer.ggml.token_type", ()))
    num_base = types.count(NORMAL)
    if len(types) != len(tokens) or types[:num_base] != [NORMAL] * num_base:
        raise TokenizerError(f"{path}: tokenizer.ggml.token_type does not fit tokenizer.ggml.tokens.")
    lines = (b"%s %d\n" % (b64encode(characters_to_bytes(t)), i) for i, t in enumerate(tokens[:num_base]))
    named = [i for i in range(num_base, len(tokens)) if types[i] != UNUSED]
    config = {"added_tokens_decoder": {str(i): {"content": tokens[i]} for i in named}}
    return _named(path, b"".join(lines), config)


def _named(path: Path, ranks: bytes, config: dict | None, compiled: bytes | None = None) -> Tokenizer:
    """A tokenizer whose errors begin with the file they are about."""
    try:
        return Tokenizer(ranks, compiled, config)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from error


def _parse(text: str | bytes, path: Path) -> dict:
    """A JSON object. TokenizerError: it is none."""
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise TokenizerError(f"{path}: the tokenizer configuration is not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise TokenizerError(f"{path}: the tokenizer configuration is not a JSON object.")
    return parsed


def _read(path: Path, size: int = -1) -> bytes:
    """The content of a file, or its first bytes. TokenizerError: it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise TokenizerError(
            f"{path} cannot be read ({error.strerror}). Give a model file or a tiktoken.model."
        ) from error
