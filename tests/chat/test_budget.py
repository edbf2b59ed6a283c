"""The thinking budget, driven as the engine drives it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_cpu.chat import ThinkingBudget, parse_output
from kimi_cpu.errors import ConfigError, TokenizerError
from kimi_cpu.tokenizer import Tokenizer

KIMI = Tokenizer.load(Path(__file__).parents[1] / "data" / "tiktoken.model")
THINK, END = KIMI.special_tokens["<think>"], KIMI.special_tokens["</think>"]
SECTION, EOS = KIMI.special_tokens["<|tool_calls_section_begin|>"], KIMI.eos_ids[0]
WORD = KIMI.encode(" hm", special=False)[0]
BYTE_ID = {KIMI.token_bytes(i): i for i in range(256)}


class Clock:
    """Seconds that pass only when told to."""

    now = 100.0

    def __call__(self):
        return self.now


def generate(budget, wanted):
    """What comes out when the model wants these ids; a forced id does not use one of them up."""
    ids, wanted = [], list(wanted)
    while wanted:
        forced = budget.forced()
        ids.append(wanted.pop(0) if forced is None else forced)
        budget.accept(ids[-1])
    return ids


def test_at_the_limit_the_wrap_up_comes_and_thinking_ends():
    budget = ThinkingBudget(KIMI, max_tokens=3, wrap_up=" Enough.")
    ids = generate(budget, [THINK] + [WORD] * 5)
    assert ids == [THINK, WORD, WORD, WORD, *KIMI.encode(" Enough."), END, WORD, WORD]
    assert parse_output(ids, KIMI).reasoning_content == " hm hm hm Enough."


def test_the_prompt_may_have_opened_the_block():
    budget = ThinkingBudget(KIMI, max_tokens=2, wrap_up=" Enough.", thinking=True)
    assert generate(budget, [WORD] * 3) == [WORD, WORD, *KIMI.encode(" Enough."), END, WORD]


@pytest.mark.parametrize("closing", [END, SECTION, EOS])
def test_thinking_that_ends_by_itself_is_left_alone(closing):
    wanted = [THINK, WORD, WORD, closing] + [WORD] * 9
    assert generate(ThinkingBudget(KIMI, max_tokens=3), wanted) == wanted


def test_content_is_not_limited():
    assert generate(ThinkingBudget(KIMI, max_tokens=1), [WORD] * 9) == [WORD] * 9


def test_a_second_block_has_what_the_first_one_left():
    budget = ThinkingBudget(KIMI, max_tokens=3, wrap_up=" Enough.")
    ids = generate(budget, [THINK, WORD, WORD, END, WORD, THINK, WORD, WORD])
    assert ids == [THINK, WORD, WORD, END, WORD, THINK, WORD, *KIMI.encode(" Enough."), END, WORD]


def test_a_block_after_the_budget_is_spent_is_closed_without_a_wrap_up():
    budget = ThinkingBudget(KIMI, max_tokens=1, wrap_up=" Enough.", thinking=True)
    ids = generate(budget, [WORD, WORD, THINK, WORD])
    assert ids == [WORD, *KIMI.encode(" Enough."), END, WORD, THINK, END, WORD]


def test_without_limits_nothing_is_forced():
    wanted = [THINK] + [WORD] * 50
    assert generate(ThinkingBudget(KIMI), wanted) == wanted


def test_no_think_closes_an_open_block_at_once():
    assert generate(ThinkingBudget(KIMI, no_think=True, thinking=True), [WORD]) == [END, WORD]


def test_no_think_writes_an_empty_block_where_the_prompt_has_none():
    assert generate(ThinkingBudget(KIMI, no_think=True), [WORD]) == [THINK, END, WORD]


def test_no_think_closes_a_block_that_the_model_opens_later():
    assert generate(ThinkingBudget(KIMI, no_think=True), [WORD, THINK, WORD]) == [THINK, END, WORD, THINK, END, WORD]


def test_a_budget_of_0_closes_without_a_wrap_up():
    assert generate(ThinkingBudget(KIMI, max_tokens=0), [THINK, WORD]) == [THINK, END, WORD]


def test_seconds_count_from_the_first_thought():
    clock = Clock()
    budget = ThinkingBudget(KIMI, max_seconds=5, thinking=True, wrap_up=" Enough.", clock=clock)
    clock.now += 60  # the prompt is read
    assert generate(budget, [WORD]) == [WORD]
    clock.now += 4.9
    assert generate(budget, [WORD]) == [WORD]
    clock.now += 0.1
    assert generate(budget, [WORD]) == [*KIMI.encode(" Enough."), END, WORD]


def test_seconds_outside_the_block_do_not_count():
    clock = Clock()
    budget = ThinkingBudget(KIMI, max_seconds=5, thinking=True, clock=clock)
    generate(budget, [WORD])
    clock.now += 3
    generate(budget, [END, WORD])
    clock.now += 60
    assert generate(budget, [THINK, WORD]) == [THINK, WORD]
    clock.now += 2
    assert budget.forced() is not None


def test_the_wrap_up_is_text_even_if_it_spells_a_control_token():
    budget = ThinkingBudget(KIMI, max_tokens=1, thinking=True, wrap_up="</think>")
    assert generate(budget, [WORD, WORD]) == [WORD, *KIMI.encode("</think>", special=False), END, WORD]


def test_the_wrap_up_waits_for_the_end_of_a_character():
    smile = [BYTE_ID[bytes([b])] for b in "😀".encode()]
    budget = ThinkingBudget(KIMI, max_tokens=2, thinking=True, wrap_up=" Enough.")
    assert parse_output(generate(budget, [*smile, WORD]), KIMI, thinking=True).reasoning_content == "😀 Enough."


def test_a_character_that_never_ends_is_waited_for_no_longer_than_three_tokens():
    budget = ThinkingBudget(KIMI, max_tokens=1, thinking=True, wrap_up=" Enough.")
    lead = BYTE_ID[b"\xf0"]
    ids = generate(budget, [lead] * 9)
    assert ids[:4] == [lead] * 4 and ids[4] == KIMI.encode(" Enough.")[0]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.lists(st.sampled_from([WORD, THINK, END, SECTION, EOS]), max_size=40), st.booleans())
def test_never_more_is_thought_than_the_budget_allows(limit, wanted, thinking):
    budget = ThinkingBudget(KIMI, max_tokens=limit, thinking=thinking, wrap_up="")
    inside, thought = thinking, 0
    for token_id in generate(budget, wanted):
        inside = token_id == THINK or (inside and token_id not in (END, SECTION, EOS))
        thought += inside and token_id != THINK
    assert thought <= limit


def test_a_negative_budget_is_refused():
    with pytest.raises(ConfigError, match="negative"):
        ThinkingBudget(KIMI, max_tokens=-1)


def test_a_vocabulary_without_think_is_refused():
    class Other:
        special_tokens = {}

    with pytest.raises(TokenizerError, match="</think>"):
        ThinkingBudget(Other())
