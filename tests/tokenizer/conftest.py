"""Kimi's vocabulary, read once."""

from base64 import b64encode
from pathlib import Path

import pytest

from kimi_cpu.tokenizer import Tokenizer, compile_sentencepiece

RANKS_PATH = Path(__file__).parents[1] / "data" / "tiktoken.model"


@pytest.fixture(scope="session")
def ranks() -> bytes:
    return RANKS_PATH.read_bytes()


@pytest.fixture(scope="session")
def compiled(ranks) -> bytes:
    return compile_sentencepiece(ranks)


@pytest.fixture(scope="session")
def kimi(ranks, compiled) -> Tokenizer:
    return Tokenizer(ranks, compiled)


def rank_file(tokens: list[bytes]) -> bytes:
    """A tiktoken file of tokens in order of rank."""
    return b"".join(b"%s %d\n" % (b64encode(token), rank) for rank, token in enumerate(tokens))


@pytest.fixture(scope="session")
def single_bytes() -> list[bytes]:
    return [bytes([i]) for i in range(256)]


@pytest.fixture(scope="session")
def small_ranks(single_bytes) -> bytes:
    return rank_file([*single_bytes, b"ab"])
