"""tiktoken as the oracle. KIMI_CPU_RANDOM_TEXTS and KIMI_CPU_RANDOM_SEED ask for more strings or others."""

import os
import runpy
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_cpu.tokenizer import Tokenizer, pretokenize

from .conftest import rank_file
from .random_text import SNIPPETS, random_text

tiktoken = pytest.importorskip("tiktoken")
NUM_TEXTS = int(os.environ.get("KIMI_CPU_RANDOM_TEXTS", "5000"))
SEED = int(os.environ.get("KIMI_CPU_RANDOM_SEED", "1"))
PROBE = Path(__file__).parents[2] / "tools" / "probe_unicode_classes.py"


@pytest.fixture(scope="module")
def official(ranks, kimi):
    from .oracle import Official

    return Official(ranks, kimi.special_tokens)


def test_random_strings_have_the_official_ids_and_come_back(kimi, official):
    random = Random(SEED)
    for _ in range(NUM_TEXTS):
        text = random_text(random)
        for special in (True, False):
            ids = kimi.encode(text, special=special)
            assert ids == official.encode(text, special=special), text
            assert kimi.decode(ids) == text


def test_decoding_any_ids_gives_what_tiktoken_gives(kimi, official):
    random = Random(SEED)
    for _ in range(NUM_TEXTS // 20):
        ids = random.choices(range(kimi.n_vocab), k=random.randrange(1, 40))
        assert kimi.decode(ids) == official.encoding.decode(ids)


def test_long_runs_are_cut_where_the_official_encoder_cuts_them(kimi, official):
    random = Random(SEED)
    for unit in ("a", "abcdefghij", " ", "\t \u3000", "\n", "\x1c", "中", "中文字", "ก", "\u0301", "!", "7", "A", "É"):
        length = random.choice((24_999, 25_000, 25_001, 50_003))
        run = (unit * length)[:length]
        text = random_text(random) + run + random_text(random) + run[: random.randrange(30_000)]
        assert kimi.encode(text) == official.encode(text), (unit, length)


def test_texts_around_the_slice_of_400_000_characters_have_the_official_ids(kimi, official):
    random = Random(SEED)
    filler = "".join(random_text(random) for _ in range(9_000))[:399_980]
    assert len(filler) == 399_980
    for snippet in (" 1234567890" * 4, "<|im_end|>" * 5, "中文" * 30, "\ud83d\ude00" * 30, "   \n" * 20):
        assert kimi.encode(filler + snippet) == official.encode(filler + snippet), snippet


def test_a_word_of_a_megabyte_has_the_official_ids(kimi, official):
    word = "".join(Random(SEED).choices("abcdefghijklmnopqrstuvwxyz", k=1_000_000))
    assert kimi.encode(word) == official.encode(word)


@pytest.mark.parametrize("alphabet", ["ab", "abcde", "aé", "中文字"])
def test_any_vocabulary_merges_as_tiktoken_merges_it(single_bytes, alphabet):
    from .oracle import Official

    random = Random(SEED)
    letters = sorted(set(alphabet.encode()))
    longer = {bytes(random.choices(letters, k=random.choice((2, 2, 3, 3, 4, 5, 8)))) for _ in range(150)}
    tokens = [*single_bytes, *sorted(longer)]
    random.shuffle(tokens)
    ranks = rank_file(tokens)
    tokenizer = Tokenizer(ranks)
    official = Official(ranks, tokenizer.special_tokens)
    for length in (*range(1, 60), 99, 100, 101, 1_000):
        text = "".join(random.choices(alphabet, k=length))
        assert tokenizer.encode(text) == official.encode(text), text


def test_texts_of_random_tokens_have_the_official_ids(kimi, official):
    random = Random(SEED)
    for _ in range(NUM_TEXTS // 20):
        text = kimi.decode(random.choices(range(kimi.n_vocab), k=random.randrange(1, 200)))
        assert kimi.encode(text) == official.encode(text)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud800\udbff\udc00\udfff\ufeff<|>")))
def test_surrogates_are_replaced_as_tiktoken_replaces_them(kimi, official, text):
    assert kimi.encode(text) == official.encode(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(SNIPPETS)).map("".join))
def test_pieces_joined_are_the_text(text):
    assert "".join(pretokenize.pieces(text)) == text


def test_every_character_has_the_class_that_tiktoken_gives_it():
    probe = runpy.run_path(str(PROBE))
    from kimi_cpu.tokenizer.unicode_classes import RUNS

    assert probe["runs"](probe["classes"]()) == RUNS.split()
