"""Piece boundaries. Ids seldom show them, as merges seldom cross them; with every piece a token of its own they do."""

from itertools import product

import pytest

from kimi_cpu.tokenizer import Tokenizer, pretokenize

from .conftest import rank_file

pytest.importorskip("tiktoken")

CLASSES = "Aa\u00aa\u0301sS'1中〇⺀! \t\n"  # a character of each class of the pattern
ENDINGS = ("s", "t", "re", "ve", "m", "ll", "d", "ſ", "x", "r")  # the last two are no contractions
CONTRACTIONS = sorted({"".join(cased) for end in ENDINGS for cased in product(*((c, c.upper()) for c in end))})


def official_pieces(texts, single_bytes):
    """text -> pieces, by tiktoken: whatever part of a text is a piece is a token of its own, and taken whole."""
    from .oracle import Official

    parts = {text[a:b].encode() for text in texts for a in range(len(text)) for b in range(a + 1, len(text) + 1)}
    ranks = rank_file([*single_bytes, *sorted(part for part in parts if len(part) > 1)])
    encoding = Official(ranks, Tokenizer(ranks).special_tokens).encoding
    return {text: [p.decode() for p in encoding.decode_tokens_bytes(encoding.encode_ordinary(text))] for text in texts}


def test_all_texts_of_four_classes_are_cut_as_the_pattern_cuts_them(single_bytes):
    texts = ["".join(characters) for characters in product(CLASSES, repeat=4)]
    for text, pieces in official_pieces(texts, single_bytes).items():
        assert pretokenize.pieces(text) == pieces, text


def test_contractions_stay_with_the_word_in_either_case(single_bytes):
    texts = [
        before + "'" + contraction + after
        for before in ("x", "X", "é", "xX", "中", "5", " ", "")
        for contraction in CONTRACTIONS
        for after in ("", "y", "Y", "'s")
    ]
    for text, pieces in official_pieces(texts, single_bytes).items():
        assert pretokenize.pieces(text) == pieces, text
