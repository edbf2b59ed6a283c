"""Ids and bytes: Kimi's tokenizer exactly, on the sentencepiece package."""

from .tokenizer import StreamDecoder, Tokenizer, check_ends, tokenizer_of, without_surrogates
from .vocabulary import compile_sentencepiece, special_tokens_from_config

__all__ = [
    "StreamDecoder",
    "Tokenizer",
    "check_ends",
    "compile_sentencepiece",
    "special_tokens_from_config",
    "tokenizer_of",
    "without_surrogates",
]
