"""Speed of a model on this machine, in llama-bench's rows.

pp512 is a prompt of 512 tokens, tg64 are 64 generated ones, @d4096 is so much context before them.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median, pstdev

from .errors import ContextOverflow
from .llm import LLM


@dataclass(frozen=True)
class Row:
    """One line: `count` tokens of prompt ("pp") or of generation ("tg") after `depth` tokens of context."""

    kind: str
    count: int
    depth: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}{self.count}" + (f"@d{self.depth}" if self.depth else "")

    @property
    def tokens(self) -> int:
        """Tokens of context that the row needs."""
        return self.depth + self.count + 1


@dataclass(frozen=True)
class Measurement:
    """Tokens a second of each repetition."""

    row: Row
    rates: tuple[float, ...]

    def as_dict(self) -> dict:
        """For JSON: name, n_prompt, n_gen, n_depth as llama-bench has them, and tokens a second."""
        row = self.row
        return {
            "test": row.name,
            "n_prompt": row.count if row.kind == "pp" else 0,
            "n_gen": row.count if row.kind == "tg" else 0,
            "n_depth": row.depth,
            "median_ts": median(self.rates),
            "stddev_ts": pstdev(self.rates),
            "samples_ts": list(self.rates),
        }


def rows(prompts: Iterable[int], generations: Iterable[int], depths: Iterable[int]) -> Iterator[Row]:
    """All combinations, prompts first, as llama-bench orders them; a count of 0 is no row."""
    for depth in depths:
        yield from (Row("pp", count, depth) for count in prompts if count)
        yield from (Row("tg", count, depth) for count in generations if count)


def measure(llm: LLM, row: Row, repetitions: int) -> Measurement:
    """Runs a row, once unmeasured and then `repetitions` times.

    Raises ContextOverflow when the model was loaded with a smaller context than the row needs.
    """
    run = prepare(llm, row)
    run()
    return Measurement(row, tuple(run() for _ in range(repetitions)))


def prepare(llm: LLM, row: Row) -> Callable[[], float]:
    """A function that runs a row once and returns tokens a second.

    The context before it is computed here, and found in the cache by each run. Raises ContextOverflow as `measure`.
    """
    if row.tokens > llm.context:
        raise ContextOverflow(f"{row.name} needs {row.tokens} tokens of context; the model has {llm.context}.")
    numbers = random.Random()
    depth = _random_ids(numbers, llm, row.depth)
    if depth:
        llm.generate(depth, max_tokens=1, temperature=0.0, ignore_eos=True)
    return lambda: _rate(llm, row, depth, numbers)


def _rate(llm: LLM, row: Row, depth: list[int], numbers: random.Random) -> float:
    """New random tokens every time, so that nothing but the depth is found in the cache."""
    prompt = depth + _random_ids(numbers, llm, row.count if row.kind == "pp" else 1)
    generated = 1 if row.kind == "pp" else row.count + 1  # the first one ends the prompt's step
    done = llm.generate(prompt, max_tokens=generated, temperature=0.0, ignore_eos=True)
    if row.kind == "pp":
        return (len(prompt) - done.usage.cached_tokens) / done.timings.prefill_s
    return row.count / done.timings.decode_s


def _random_ids(numbers: random.Random, llm: LLM, count: int) -> list[int]:
    return [numbers.randrange(llm.config.vocab_size) for _ in range(count)]
