"""Ids and bytes: Kimi's tokenizer exactly, on the sentencepiece package."""

from .load import check_ends, tokenizer_of
from .sentencepiece_model import compile_sentencepiece
from .special_tokens import special_tokens_from_config
from .stream import StreamDecoder
from .tokenizer import Tokenizer, without_surrogates

__all__ = [
    "StreamDecoder",
    "Tokenizer",
    "check_ends",
    "compile_sentencepiece",
    "special_tokens_from_config",
    "tokenizer_of",
    "without_surrogates",
]
