"""Where a tokenizer comes from: a model file, a checkpoint directory, a bare rank file."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TokenizerError, TokenizerFileError
from ..files import open_regular
from ..filetypes import HEAD_BYTES, mistaken, recognised
from .sentencepiece_model import characters_to_bytes
from .special_tokens import EOS_NAMES
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from ..modelfile import ModelFile

RANKS_FILE = "tiktoken.model"
CONFIG_FILE = "tokenizer_config.json"
RANKS_TENSOR, COMPILED_TENSOR = "tokenizer.ranks", "tokenizer.model"
END = EOS_NAMES[0]
MAX_FILE_BYTES = 1 << 26  # Kimi's rank file has 2.8 MB; a weight file given by mistake is not read to its end
NORMAL, UNUSED = 1, 5  # llama.cpp: llama_token_type
GGML_PRE_TOKENIZER = "kimi-k2"  # llama.cpp's name of Kimi's pattern


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at a path. TokenizerError: nothing usable there; ModelFileError: the model file is corrupt."""
    if path.is_dir():
        return _from_directory(path)
    if _read(path, 4) == b"GGUF":
        from ..modelfile import ModelFile

        with ModelFile.open(path) as model_file:
            return from_model_file(model_file)
    ranks = _read_ranks(path)
    with _naming(path):
        return Tokenizer(ranks)


def tokenizer_of(model_file: "ModelFile") -> Tokenizer | None:
    """The tokenizer with which an open native file is run; None: it takes token ids alone. TokenizerFileError: it is
    corrupt, or has no token that ends answers."""
    if RANKS_TENSOR not in model_file.tensors:
        return None
    tokenizer = from_model_file(model_file)
    check_ends(tokenizer, model_file.path)
    return tokenizer


def check_ends(tokenizer: Tokenizer, path: Path) -> None:
    """TokenizerFileError unless answers can end with a token of this tokenizer, which is in a file."""
    if END not in tokenizer.special_tokens:
        raise TokenizerFileError(
            f"{path}: the tokenizer has no token {END}, with which answers end; use Kimi's tokenizer_config.json."
        )


def from_model_file(model_file: "ModelFile") -> Tokenizer:
    """The tokenizer inside an open model file: our two tensors, or llama.cpp's arrays. TokenizerError: neither."""
    metadata = model_file.metadata
    with _naming(model_file.path):
        if "tokenizer.ggml.tokens" in metadata:
            return _from_ggml(metadata)
        if not {RANKS_TENSOR, COMPILED_TENSOR} <= model_file.tensors.keys():
            raise TokenizerError("There is no tokenizer in it. Convert the model again.")
        config = metadata.get("kimi-cpu.tokenizer_config")
        ranks, compiled = (model_file.view(name).tobytes() for name in (RANKS_TENSOR, COMPILED_TENSOR))
        return Tokenizer(ranks, compiled, None if config is None else _parse(config))


def _from_directory(path: Path) -> Tokenizer:
    """A checkpoint's tokenizer. Without a tokenizer_config.json the special tokens have K2 Thinking's names."""
    ranks = _read_ranks(path / RANKS_FILE)
    config = _read(path / CONFIG_FILE) if (path / CONFIG_FILE).exists() else None
    with _naming(path):
        return Tokenizer(ranks, None, None if config is None else _parse(config))


def _from_ggml(metadata: dict) -> Tokenizer:
    """A tokenizer from tokenizer.ggml.tokens: a NORMAL token's id is its rank, the others are special; the merges
    follow from the ranks. TokenizerError: another pre-tokenisation, or special tokens among the normal ones."""
    pre = metadata.get("tokenizer.ggml.pre")
    if metadata.get("tokenizer.ggml.model") != "gpt2" or pre != GGML_PRE_TOKENIZER:
        raise TokenizerError(
            f"Its tokenizer is of kind {str(pre)[:40]!r} and not {GGML_PRE_TOKENIZER!r}. Use a file of Kimi K2."
        )
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata.get("tokenizer.ggml.token_type")
    if not isinstance(tokens, list) or not isinstance(types, list) or not all(isinstance(t, str) for t in tokens):
        raise TokenizerError("tokenizer.ggml.tokens or tokenizer.ggml.token_type is no list. Convert the model again.")
    num_base = types.count(NORMAL)
    if len(types) != len(tokens) or types[:num_base] != [NORMAL] * num_base:
        raise TokenizerError("tokenizer.ggml.token_type does not fit tokenizer.ggml.tokens. Convert the model again.")
    lines = (b"%s %d\n" % (b64encode(characters_to_bytes(t)), i) for i, t in enumerate(tokens[:num_base]))
    named = (i for i in range(num_base, len(tokens)) if types[i] != UNUSED)
    config = {"added_tokens_decoder": {i: {"content": tokens[i]} for i in named}}
    return Tokenizer(b"".join(lines), None, config)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors inside begin with the file that they are about."""
    try:
        yield
    except TokenizerError as error:
        raise TokenizerFileError(f"{path}: {error}") from error


def _parse(text: str | bytes) -> dict:
    """A JSON object. TokenizerError: it is none."""
    try:
        parsed = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise TokenizerError(f"The tokenizer configuration is not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise TokenizerError("The tokenizer configuration is not a JSON object.")
    return parsed


def _read_ranks(path: Path) -> bytes:
    """A rank file's content. TokenizerError: it cannot be read, or is something else by its first bytes."""
    ranks = _read(path)
    if recognised(ranks[:HEAD_BYTES]) is not None:
        raise TokenizerFileError(f"{path}: {mistaken(ranks[:HEAD_BYTES], 'tiktoken rank file')}")
    return ranks


def _read(path: Path, size: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file, or its first bytes. TokenizerError: it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}). Give a model file or a tiktoken.model."
        raise TokenizerFileError(message) from error
