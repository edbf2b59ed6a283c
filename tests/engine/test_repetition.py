"""Answers that run in a circle are ended where the rule says so, and nowhere else."""

import random
from pathlib import Path

import numpy as np
import pytest

from kimi_cpu.engine import Engine, Request, Sampling
from kimi_cpu.engine.repetition import EVERY, Repetition
from kimi_cpu.errors import RequestError
from kimi_cpu.tokenizer import Tokenizer

from .fake import VOCAB, FakeModel, Guesses, finish

ROOT = Path(__file__).parents[2]
SMALL = {"min_pattern_size": 2, "max_pattern_size": 7, "min_count": 3}


def rule_holds(ids, low, high, count):
    """The rule as it is written down, word for word."""
    for size in range(low, high + 1):
        copies = [ids[len(ids) - (i + 1) * size : len(ids) - i * size] for i in range(count)]
        if len(ids) >= count * size and all(copy == copies[0] for copy in copies):
            return True
    return False


def test_rule_holds_exactly_where_its_words_do():
    rng = random.Random(0)
    found = set()
    for _ in range(4000):
        low, high, count = rng.randint(1, 4), rng.randint(4, 9), rng.randint(2, 4)
        pattern = [rng.randint(0, rng.choice([1, 2, 300])) * rng.choice([1, 2**20]) for _ in range(rng.randint(1, 10))]
        ids = [rng.randint(0, 2) for _ in range(rng.randint(0, 20))] + pattern * rng.randint(0, 6)
        ids += pattern[: rng.randint(0, len(pattern))]
        expected = rule_holds(ids, low, high, count)
        assert Repetition(low, high, count).holds(ids) is expected, (ids, low, high, count)
        found.add(expected)
    assert found == {True, False}


def test_ids_whose_bytes_overlap_are_told_apart():
    assert Repetition(1, 8, 2).holds([0x01010101, 0x01010101])
    assert not Repetition(1, 8, 2).holds([0, 1, 0x01000000, 0x00010000])


@pytest.mark.parametrize("size", [1, 3, 64, 500, 1024])
def test_defaults_find_patterns_of_any_size_that_they_name(size):
    rule, pattern = Repetition(), list(range(size))
    told = [n for n in range(0, 6 * 1024) if rule.ends([7000, 7001] + pattern * (n // size) + pattern[: n % size])]
    needed = 2 + 4 * size * max(1, -(-64 // size))  # patterns below 64 count as multiples of them
    assert told[0] + 2 == -(-needed // EVERY) * EVERY
    assert all((n + 2) % EVERY == 0 for n in told)


def texts():
    """Code, tables, lists and data of this repository and of Python's library, and what people have models write."""
    for path in [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("kimi_cpu/**/*.py")), Path(random.__file__)]:
        yield path.name, path.read_text()
    yield "a numbered list", "".join(f"{i}. Step number {i} of the plan\n" for i in range(1, 300))
    yield "a table", "| day | open | closed |\n|---|---|---|\n" + "".join(f"| {i} | yes | no |\n" for i in range(365))
    yield "a multiplication table", "\n".join(" ".join(f"{i * j:4}" for j in range(1, 21)) for i in range(1, 21))
    yield "an identity matrix", "\n".join("[" + ", ".join(str(int(i == j)) for j in range(20)) + "]" for i in range(20))
    yield "a small matrix of zeros", "\n".join("[" + ", ".join(["0"] * 8) + "]," for _ in range(8))
    yield "rulers", "\n".join(f"{'=' * 80}\nPart {i}\n{'-' * 80}\n\n" for i in range(50))
    yield "a refrain", "".join(f"{i} bottles of beer on the wall, {i} bottles of beer.\n" for i in range(99, 0, -1))
    yield "a form", "Name: ____________________\nDate: ____________________\n" * 3


def test_code_tables_and_lists_are_no_repetition(tokenizer):
    rule, num_tokens = Repetition(), 0
    for name, text in texts():
        ids = tokenizer.encode(text)
        num_tokens += len(ids)
        told = [n for n in range(1, len(ids) + 1) if n % 7 == 0 and rule.holds(ids[:n])]
        assert not told, f"{name} at token {told[0]}"
    assert num_tokens > 100_000


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(ROOT / "tests" / "data" / "tiktoken.model")


@pytest.mark.parametrize("wish", [None, False, {"max_pattern_size": 0}])
def test_nothing_is_looked_for_unless_it_is_asked_for(wish):
    assert Request([1], Sampling(repetition_detection=wish), 5).repetition is None


def test_wishes_are_checked_and_completed():
    assert Repetition.of(True) == Repetition(64, 1024, 4)
    assert Repetition.of({"max_pattern_size": 20, "min_count": 3}) == Repetition(20, 20, 3)
    for wrong, name in (
        ({"min_count": 1}, "min_count"),
        ({"max_pattern_size": 2000}, "max_pattern_size"),
        ({"min_pattern_size": 9, "max_pattern_size": 4}, "min_pattern_size"),
        ({"size": 3}, "size"),
        ("yes", "repetition_detection"),
        (1, "repetition_detection"),
    ):
        with pytest.raises(RequestError, match=name):
            Sampling(repetition_detection=wrong)


class Circle(FakeModel):
    """Goes round in a circle of so many ids, whatever it is asked."""

    size = 5

    def forward(self, batch, watch):
        super().forward(batch, watch)
        logits = np.zeros((len(batch.logits_indices), VOCAB), np.float32)
        for out, row in enumerate(batch.logits_indices):
            logits[out, 10 + (batch.positions[row] + 1) % self.size] = 1
        return logits


def circling(prompt, max_tokens=500, **options):
    wish = {"min_pattern_size": 16, "max_pattern_size": 64, "min_count": 4}
    return Request(prompt, Sampling(temperature=0, repetition_detection=wish), max_tokens, **options)


def test_answer_in_a_circle_stops_and_says_why():
    request = circling([3, 4, 5])
    finish(Engine(Circle(32, 40)), [request])
    assert (request.finish_reason, request.stop_reason) == ("stop", "repetition")
    assert len(request.output_ids) == 128  # four copies of 20 are there after 80 tokens
    other = circling([3, 4, 5], 100)
    finish(Engine(Circle(32, 40)), [other])
    assert (other.finish_reason, other.stop_reason) == ("length", None)


class CircleGuesses(Guesses):
    """Drafts of a circle, of which a random part is right."""

    def propose(self, request, num_rows, limit):
        n, right = request.num_tokens, int(self.rng.integers(0, 9))
        ids = [10 + (n + i) % Circle.size if i < right else 2 for i in range(8)]
        self.num_drafted += len(ids[: max(limit, 0)])
        return ids[: max(limit, 0)]


@pytest.mark.parametrize("seed", range(4))
def test_answer_stops_at_the_same_token_with_drafts_company_preemption_and_when_it_is_resumed(seed):
    alone = circling([3, 4, 5])
    finish(Engine(Circle(32, 40)), [alone])
    drafts = CircleGuesses(seed)
    engine = Engine(Circle(32, 7), 4, drafts)  # pages for two of four
    requests = [circling([3, 4, 5 + i]) for i in range(4)]
    finish(engine, requests)
    assert {tuple(r.output_ids) for r in requests} == {tuple(alone.output_ids)} and drafts.num_drafted
    assert {(r.finish_reason, r.stop_reason) for r in requests} == {("stop", "repetition")}
    for known in (1, 63, 64, 127):
        resumed = circling([3, 4, 5])
        resumed.resume(alone.output_ids[:known])
        finish(Engine(Circle(32, 40)), [resumed])
        assert (resumed.output_ids, resumed.stop_reason) == (alone.output_ids, "repetition")
