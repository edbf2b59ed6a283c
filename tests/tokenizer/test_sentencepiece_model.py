"""The compiled model: one piece a token, in order of rank."""

import random
from base64 import b64encode

import pytest
import sentencepiece

from kimi_cpu.errors import TokenizerError
from kimi_cpu.tokenizer import Tokenizer, compile_sentencepiece
from kimi_cpu.tokenizer.vocabulary import byte_characters, characters_to_bytes, read_ranks

from .conftest import rank_file


def test_piece_i_is_token_i_with_its_rank_as_score(ranks, compiled):
    processor = sentencepiece.SentencePieceProcessor(model_proto=compiled)
    tokens = read_ranks(ranks)
    assert len(processor) == len(tokens) + 1 and processor.unk_id() == len(tokens)
    for i in random.Random(0).sample(range(len(tokens)), 2_000):
        assert characters_to_bytes(processor.id_to_piece(i)) == tokens[i]
        assert processor.get_score(i) == -i


def test_text_reaches_the_merges_unchanged(compiled):
    processor = sentencepiece.SentencePieceProcessor(model_proto=compiled)
    for text in ("", "a", " a", "a  b ", "\u2581a", "ﬁ", "e\u0301", "\t"):
        assert processor.normalize(text) == text


def test_every_byte_has_a_character_of_its_own():
    every_byte = [bytes([i]) for i in range(256)]
    characters = byte_characters(every_byte)
    assert len(set(characters)) == 256
    assert list(map(characters_to_bytes, characters)) == every_byte
    assert characters[ord("A")] == "A" and characters[ord(" ")] == "Ġ" and characters[0] == "Ā"


def test_pairs_of_the_lowest_rank_merge_first_and_the_leftmost_of_equals(single_bytes):
    tokenizer = Tokenizer(rank_file([*single_bytes, b"bc", b"ab", b"aa", b"abcd"]))

    def tokens(text):
        return [tokenizer.token_bytes(i) for i in tokenizer.encode(text)]

    assert tokens("xabcd") == [b"x", b"a", b"bc", b"d"]
    assert tokens("abcd") == [b"abcd"]  # a piece that is a token is taken whole, though no merges lead to it
    assert tokens("aaa") == [b"aa", b"a"]


def test_lines_may_come_in_any_order(single_bytes):
    lines = rank_file([*single_bytes, b"ab"]).splitlines(keepends=True)
    assert read_ranks(b"".join(reversed(lines))) == [*single_bytes, b"ab"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda ranks: b"",
        lambda ranks: b"abc",
        lambda ranks: ranks[:1_000_001],
        lambda ranks: ranks[:-2],
        lambda ranks: ranks[40:],
        lambda ranks: ranks + b"QUJD 7\n",
        lambda ranks: ranks + b"QUJD -1\n",
        lambda ranks: ranks + b"%s 163584\n" % b64encode(b"!"),
        lambda ranks: bytes(range(256)) * 20,
    ],
)
def test_a_damaged_rank_file_is_refused_in_one_sentence(ranks, damage):
    with pytest.raises(TokenizerError) as caught:
        Tokenizer(damage(ranks))
    assert "\n" not in str(caught.value)


def test_a_rank_file_that_lacks_a_byte_is_refused(single_bytes):
    with pytest.raises(TokenizerError, match="single bytes"):
        compile_sentencepiece(rank_file(single_bytes[:-1]))


@pytest.mark.parametrize("length", [0, 100, 1_000_000, -1])
def test_a_truncated_compiled_model_is_refused(ranks, compiled, length):
    with pytest.raises(TokenizerError):
        Tokenizer(ranks, compiled[:length])


def test_a_compiled_model_of_another_vocabulary_is_refused(compiled, small_ranks):
    with pytest.raises(TokenizerError, match="does not belong"):
        Tokenizer(small_ranks, compiled)
