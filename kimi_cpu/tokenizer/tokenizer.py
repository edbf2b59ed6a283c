"""Text <-> ids, equal to Kimi's tokenization_kimi.py on tiktoken for every input.

The tokenizer comes from a model file, a checkpoint directory or a bare rank file.
"""

import codecs
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import sentencepiece

from ..errors import TokenizerError, TokenizerFileError
from ..files import open_regular
from ..filetypes import HEAD_BYTES, other_kind
from . import pretokenize
from .vocabulary import (
    EOS_NAMES,
    byte_characters,
    characters_to_bytes,
    compile_sentencepiece,
    read_ranks,
    special_tokens_from_config,
)

if TYPE_CHECKING:
    from ..modelfile import ModelFile

MAX_TOKEN_BYTES = 1024  # the longest that llguidance's trie holds; Kimi's longest token has 256
RANKS_FILE = "tiktoken.model"
CONFIG_FILE = "tokenizer_config.json"
RANKS_TENSOR, COMPILED_TENSOR = "tokenizer.ranks", "tokenizer.model"
END = EOS_NAMES[0]
MAX_FILE_BYTES = 1 << 26  # Kimi's rank file has 2.8 MB; a weight file given by mistake is not read to its end
NORMAL, UNUSED = 1, 5  # llama.cpp: llama_token_type
GGML_PRE_TOKENIZER = "kimi-k2"  # llama.cpp's name of Kimi's pattern


class Tokenizer:
    """Kimi's tokenizer. Immutable, so one serves any number of threads.

    special_tokens: text -> id; eos_ids: ids that end an answer; n_vocab: number of ids, special ones included.
    """

    special_tokens: dict[str, int]
    eos_ids: tuple[int, ...]
    n_vocab: int

    def __init__(self, ranks: bytes, sentencepiece_model: bytes | None = None, tokenizer_config: dict | None = None):
        """ranks: a tiktoken file's content; sentencepiece_model: the same by compile_sentencepiece, None to compile
        it now; tokenizer_config: tokenizer_config.json, None for Kimi K2 Thinking's names. TokenizerError: they are
        corrupt, or do not belong together."""
        tokens = read_ranks(ranks)
        self._num_base = len(tokens)
        compiled = compile_sentencepiece(ranks) if sentencepiece_model is None else sentencepiece_model
        self._merger = _load_merger(compiled, tokens)
        self.special_tokens = special_tokens_from_config(tokenizer_config, self._num_base)
        self._bytes = tokens + [text.encode() for text in self.special_tokens]  # in the order of their ids
        longest = max(map(len, self._bytes))
        if longest > MAX_TOKEN_BYTES:
            raise TokenizerError(
                f"A token has {longest} bytes, more than {MAX_TOKEN_BYTES}. Use Kimi's tiktoken.model."
            )
        self.n_vocab = len(self._bytes)
        self.eos_ids = tuple(self.special_tokens[name] for name in EOS_NAMES if name in self.special_tokens)
        self._special_pattern = _any_of(self.special_tokens)
        # Tokens that are whole text; the others hold lone surrogates here, which no piece does.
        self._ids = {token.decode("utf-8", "surrogateescape"): i for i, token in enumerate(tokens)}

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """The tokenizer of a model file, of a checkpoint directory, or of a tiktoken.model. TokenizerError: there is
        none in it, or it is corrupt; ModelFileError: the model file itself is corrupt."""
        return _load(Path(path))

    @classmethod
    def from_model_file(cls, model_file: "ModelFile") -> "Tokenizer":
        """The tokenizer inside an open model file, of our layout or of llama.cpp's. TokenizerError as in load."""
        return _from_model_file(model_file)

    def encode(self, text: str, special: bool = True) -> list[int]:
        """Ids of the text. special: spelled special tokens become their ids; otherwise they are ordinary text. Lone
        surrogates become U+FFFD, a surrogate pair its character, as in tiktoken.Encoding.encode."""
        ids: list[int] = []
        for part in pretokenize.parts(text):
            part = without_surrogates(part)
            if not special:
                ids += self._encode_ordinary(part)
                continue
            end = 0
            for match in self._special_pattern.finditer(part):
                ids += self._encode_ordinary(part[end : match.start()])
                ids.append(self.special_tokens[match[0]])
                end = match.end()
            ids += self._encode_ordinary(part[end:])
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids, special ones spelled out; bytes that are not UTF-8 become U+FFFD. TokenizerError: an id
        outside the vocabulary."""
        ids = list(ids)
        if ids and min(ids) < 0:
            self._refuse(min(ids))
        try:
            joined = b"".join(map(self._bytes.__getitem__, ids))
        except IndexError:
            self._refuse(max(ids))
        return joined.decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that an id stands for, a special one's text in UTF-8. TokenizerError: no such id."""
        if not 0 <= token_id < self.n_vocab:
            self._refuse(token_id)
        return self._bytes[token_id]

    def is_special(self, token_id: int) -> bool:
        """Whether an id lies after the base vocabulary, so that no ordinary text encodes to it."""
        return token_id >= self._num_base

    def _refuse(self, token_id: int) -> NoReturn:
        raise TokenizerError(f"Token id {token_id} is not in the vocabulary, which ends at {self.n_vocab - 1}.")

    def _encode_ordinary(self, text: str) -> list[int]:
        """Ids of text without special tokens or surrogates: pieces that are tokens as they are, as tiktoken looks them
        up first; the merges for the others, each different one once."""
        if not text:
            return []
        pieces = pretokenize.pieces(text)
        found = list(map(self._ids.get, pieces))
        if None not in found:
            return cast(list[int], found)
        merged = self._merge([piece for piece, token_id in zip(pieces, found, strict=True) if token_id is None])
        ids: list[int] = []
        for piece, token_id in zip(pieces, found, strict=True):
            if token_id is None:
                ids += merged[piece]
            else:
                ids.append(token_id)
        return ids

    def _merge(self, pieces: Iterable[str]) -> dict[str, list[int]]:
        """Piece -> ids by merging from single bytes."""
        distinct = list(dict.fromkeys(pieces))
        inputs = byte_characters([piece.encode() for piece in distinct])
        return dict(zip(distinct, map(self._merger.encode, inputs), strict=True))


def _load_merger(model: bytes, tokens: list[bytes]) -> sentencepiece.SentencePieceProcessor:
    """SentencePiece over a compiled model. TokenizerError: it is corrupt or of other tokens."""
    merger = sentencepiece.SentencePieceProcessor()
    try:
        merger.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise TokenizerError("The compiled tokenizer is corrupt. Convert the model again.") from error
    last = byte_characters(tokens[-1:])[0]
    if len(merger) != len(tokens) + 1 or merger.piece_to_id(last) != len(tokens) - 1:
        raise TokenizerError("The compiled tokenizer does not belong to the rank file. Convert the model again.")
    return merger


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds the leftmost of some texts, the longest where several begin. Grouped by their first two
    characters, so that a lone `<` costs a few comparisons and not one for each text."""
    groups: dict[str, list[str]] = {}
    for text in sorted(texts, key=len, reverse=True):
        groups.setdefault(text[:2], []).append(text[2:])
    alternatives = (f"{re.escape(start)}(?:{'|'.join(map(re.escape, rest))})" for start, rest in groups.items())
    return re.compile("|".join(alternatives))


def without_surrogates(text: str) -> str:
    """The text as UTF-8 can hold it. Source: tiktoken/core.py, Encoding.encode."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class StreamDecoder:
    """Turns ids into text as they come. A character that spans tokens is held back until its last byte; all that is
    returned, joined, is Tokenizer.decode of all ids."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The characters that this id completes, perhaps none. TokenizerError: no such id."""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        """U+FFFD for a character that the stream ended inside of, else nothing. The decoder can be used again."""
        return self._decoder.decode(b"", final=True)


def _load(path: Path) -> Tokenizer:
    """The tokenizer at a path. TokenizerError: nothing usable there; ModelFileError: the model file is corrupt."""
    if path.is_dir():
        return _from_directory(path)
    if _read(path, 4) == b"GGUF":
        from ..modelfile import ModelFile

        with ModelFile.open(path) as model_file:
            return _from_model_file(model_file)
    ranks = _read_ranks(path)
    with _naming(path):
        return Tokenizer(ranks)


def tokenizer_of(model_file: "ModelFile") -> Tokenizer | None:
    """The tokenizer with which an open native file is run; None: it takes token ids alone. TokenizerFileError: it is
    corrupt, or has no token that ends answers."""
    if RANKS_TENSOR not in model_file.tensors:
        return None
    tokenizer = _from_model_file(model_file)
    check_ends(tokenizer, model_file.path)
    return tokenizer


def check_ends(tokenizer: Tokenizer, path: Path) -> None:
    """TokenizerFileError unless answers can end with a token of this tokenizer, which is in a file."""
    if END not in tokenizer.special_tokens:
        raise TokenizerFileError(
            f"{path}: the tokenizer has no token {END}, with which answers end; use Kimi's tokenizer_config.json."
        )


def _from_model_file(model_file: "ModelFile") -> Tokenizer:
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
    other = other_kind(ranks[:HEAD_BYTES], "tiktoken rank file")
    if other is not None:
        raise TokenizerFileError(f"{path}: {other}")
    return ranks


def _read(path: Path, size: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file, or its first bytes. TokenizerError: it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}). Give a model file or a tiktoken.model."
        raise TokenizerFileError(message) from error
