"""The curriculum: questions are right, repeatable, and held out for good."""

import json
import random
import re

import pytest

from kimi_cpu import render_chat
from tools.train_demo.curriculum import arithmetic, held_out, lookup, make
from tools.train_demo.curriculum.mix import MIXES, TESTS
from tools.train_demo.curriculum.reworded import STAY, WORD, reworded
from tools.train_demo.rendering import spans


def conversation(example) -> str:
    """Everything that is said, as one text."""
    return json.dumps([m.get("content", "") for m in example.messages if m["role"] != "system"])


@pytest.fixture(scope="module")
def trained():
    return [*make("short", 1, 4000), *make("tasks", 1, 6000)]


@pytest.mark.parametrize("task", sorted(TESTS))
def test_no_held_out_question_is_trained_on(task, trained):
    tested = {conversation(e) for e in held_out(task, 30)}
    assert tested
    assert not tested & {conversation(e) for e in trained if e.task == task}


def test_no_held_out_sum_is_trained_on_in_any_wording_or_order(trained):
    tested = {working(e) for e in held_out("arithmetic", 200)}
    seen = {working(e) for e in trained if e.task == "arithmetic"}
    assert len(seen) > 250
    assert not tested & seen
    answers = (m["content"] for e in trained for m in e.messages if m["role"] == "assistant")
    assert not tested & {first_sum(text) for text in answers if re.match(r"\d+ [-+*] \d+ = -?\d+\.$", text)}
    for line in (line for e in trained if e.task == "drill" for line in e.messages[0]["content"].splitlines()):
        assert first_sum(line) not in tested


def working(example) -> tuple:
    return first_sum(example.messages[-1]["content"])


def first_sum(text: str) -> tuple:
    """(smaller number, sign, larger number) of the first sum that stands in a text."""
    a, sign, b = re.search(r"(\d+) ([-+*]) (\d+)", text).groups()
    return min(int(a), int(b)), sign, max(int(a), int(b))


@pytest.mark.parametrize(
    ("op", "first", "second"),
    [
        ("+", range(0, 100, 3), range(0, 100, 2)),
        ("+", range(0, 1000, 37), range(0, 1000, 29)),
        ("-", range(0, 100, 3), range(0, 100, 2)),
        ("-", range(0, 1000, 37), range(0, 1000, 29)),
        ("*", range(0, 100, 3), range(0, 10)),
    ],
)
def test_workings_end_in_the_value_and_every_step_of_them_is_true(op, first, second):
    for a in first:
        for b in second:
            text = arithmetic.working(a, op, b)
            value = {"+": a + b, "-": a - b, "*": a * b}[op]
            assert re.findall(r"-?\d+", text)[-1] == str(value)
            for step, result in re.findall(r"((?:\d+ [-+*] )+\d+) = (-?\d+)", text):
                assert eval(step) == int(result), text


def test_the_same_seed_gives_the_same_examples():
    assert list(make("tasks", 3, 50)) == list(make("tasks", 3, 50)) != list(make("tasks", 4, 50))


def test_every_call_is_of_a_declared_tool_with_its_arguments(trained):
    calls = 0
    for example in trained:
        declared = {t["function"]["name"]: t["function"]["parameters"] for t in example.tools or ()}
        for call in (c for m in example.messages for c in m.get("tool_calls", ())):
            properties = declared[call["function"]["name"]]["properties"]
            assert set(json.loads(call["function"]["arguments"])) == set(properties)
            calls += 1
    assert calls > 500


def test_the_last_turn_holds_what_is_asked_for():
    for task in TESTS:
        for example in held_out(task, 10):
            assert all(answer in example.messages[-1]["content"] for answer in example.answers)
            if task not in ("story", "prose"):
                assert example.answers


@pytest.mark.parametrize("mix", sorted(MIXES))
def test_parts_that_count_are_what_the_assistant_writes(mix):
    unthought = 0
    for example in make(mix, 2, 300):
        parts = list(spans(example))
        if example.messages[0]["role"] == "text":
            assert [counts for _, counts in parts] == [True]
            continue
        text = "".join(part for part, _ in parts)
        assert text.startswith(render_chat(example.messages[:-1], example.tools))
        written = [part for part, counts in parts if counts]
        assert written[-1].endswith(example.messages[-1]["content"] + "<|im_end|>")
        assert all(part.endswith("<|im_end|>") for part in written)
        *turns, last = (m for m in example.messages if m["role"] == "assistant")
        thoughts = [m["reasoning_content"] for m in [*turns, last] if m.get("reasoning_content")]
        assert [f"<think>{thought}</think>" for thought in thoughts] == [
            part[: part.index("</think>") + 8] for part in written if part.startswith("<think>")
        ]
        assert len(written) == len(thoughts) + (not last["reasoning_content"])
        unthought += not last["reasoning_content"]
    assert (unthought > 0) == (mix == "tasks")


def test_other_words_stand_for_the_same_words_everywhere():
    """In two of three examples at least one word is another; the answer still stands in the text."""
    changed = 0
    rng, same = random.Random(3), random.Random(3)
    for _ in range(200):
        example, before = reworded(lookup.chat)(rng), lookup.chat(same)
        same.setstate(rng.getstate())
        asked, said = example.messages
        assert said["content"][1:-1] in asked["content"]  # "The" may be small there, and the sentence go on
        assert example.answers[0] in said["content"]
        old, new = (set(map(str.lower, WORD.findall(e.messages[0]["content"]))) for e in (before, example))
        assert old & STAY <= new
        changed += old != new
    assert changed > 130
