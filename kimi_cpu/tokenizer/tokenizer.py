"""Text <-> ids, equal to Kimi's tokenization_kimi.py on tiktoken for every input."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import sentencepiece

from ..errors import TokenizerError
from . import pretokenize
from .sentencepiece_model import byte_characters, compile_sentencepiece, read_ranks
from .special_tokens import EOS_NAMES, special_tokens_from_config

if TYPE_CHECKING:
    from ..modelfile import ModelFile


MAX_TOKEN_BYTES = 1024  # the longest that llguidance's trie holds; Kimi's longest token has 256


class Tokenizer:
    """Kimi's tokenizer. Immutable, so one serves any number of threads.

    special_tokens: text -> id; eos_ids: ids that end an answer; n_vocab: number of ids, special ones included.
    """

    special_tokens: dict[str, int]
    eos_ids: tuple[int, ...]
    n_vocab: int

    def __init__(self, ranks: bytes, sentencepiece_model: bytes | None = None, tokenizer_config: dict | None = None):
        """ranks: a tiktoken file's content; sentencepiece_model: what compile_sentencepiece made of it, None to do so
        now; tokenizer_config: tokenizer_config.json, None for Kimi K2 Thinking's names. TokenizerError: they are
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
        from .load import load_tokenizer

        return load_tokenizer(Path(path))

    @classmethod
    def from_model_file(cls, model_file: "ModelFile") -> "Tokenizer":
        """The tokenizer inside an open model file, of our layout or of llama.cpp's. TokenizerError as in load."""
        from .load import from_model_file

        return from_model_file(model_file)

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
            return found
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
