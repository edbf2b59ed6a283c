"""Whether a model in stages answers as in one process: every kind of request, to the last token.

    python -m tools.same_in_stages [-m MODEL] [--stages 2 3] [--tokens 16] [--ray ADDRESS]

The prompts are random tokens, the same for all. The cache is so small that the answers of the last kind take one
another's pages.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import kimi_cpu
from kimi_cpu.cluster import LOCAL, connected, load_stages
from kimi_cpu.engine.request import Request
from kimi_cpu.engine.scheduler import Scheduler
from kimi_cpu.llm import BUNDLED_MODEL, LLM, Completion, LoadKeywords, SamplingKeywords, Session
from kimi_cpu.llm.memory import bytes_of_page
from kimi_cpu.llm.options import options_of
from kimi_cpu.model import PAGE_TOKENS
from kimi_cpu.modelfile import ModelFile

PAGES = 48  # of the cache: the 16 requests that run together have room
LOADING: LoadKeywords = {"context": 1024, "read_ahead": False}
WAYS: dict[str, SamplingKeywords] = {"greedy": {"temperature": 0}, "drawn": {"temperature": 1.0}}
Ids = tuple[int, ...]


class Asking:
    """Asks a model, which takes so many tokens of each answer, with prompts that follow from a word."""

    def __init__(self, llm: LLM, word: str, tokens: int, sampling: SamplingKeywords):
        self.llm, self.tokens, self._sampling = llm, tokens, sampling
        self._draw = random.Random(word)

    def prompt(self, length: int) -> list[int]:
        """So many random tokens, none of them special."""
        return [self._draw.randrange(256, self.llm.config.vocab_size - 512) for _ in range(length)]

    def __call__(self, prompts: Sequence[list[int]], tokens: int, session: Session | None = None) -> list[Completion]:
        """The answers of so many tokens to prompts that run together."""
        options: SamplingKeywords = {"max_tokens": tokens, "ignore_eos": True, "repetition_detection": False}
        handles = [
            self.llm.submit(ids, session=session, seed=seed, **options, **self._sampling)
            for seed, ids in enumerate(prompts)
        ]
        return [handle.result() for handle in handles]


def alone(ask: Asking) -> list[Completion]:
    """One request."""
    return ask([ask.prompt(100)], ask.tokens)


def together(ask: Asking) -> list[Completion]:
    """16 requests, whose prompts have up to three pages."""
    return ask([ask.prompt(20 + 9 * n) for n in range(16)], ask.tokens)


def begun(ask: Asking) -> list[Completion]:
    """A request whose prompt begins as one that was answered."""
    known = ask.prompt(3 * PAGE_TOKENS)
    first = ask([known], 1)
    then = ask([known + ask.prompt(20)], ask.tokens)
    assert then[0].usage.cached_tokens >= 2 * PAGE_TOKENS, "the beginning was not found"
    return [*first, *then]


def resumed(ask: Asking) -> list[Completion]:
    """A session that is saved, loaded and gone on with."""
    prompt = ask.prompt(90)
    with tempfile.TemporaryDirectory() as folder:
        session = ask.llm.session()
        first = ask([prompt], PAGE_TOKENS, session)
        session.save(Path(folder) / "session")
        loaded = ask.llm.load_session(Path(folder) / "session")
    then = ask([prompt + list(first[0].token_ids) + ask.prompt(20)], ask.tokens, loaded)
    assert then[0].usage.cached_tokens >= 2 * PAGE_TOKENS, "the session was computed again"
    return [*first, *then]


def preempted(ask: Asking) -> list[Completion]:
    """Requests that have room for their prompts and a page more, and need two."""
    with counted_preemptions() as count:
        answers = ask([ask.prompt(3 * PAGE_TOKENS - 4) for _ in range(12)], PAGE_TOKENS + 16)
    assert count, "no request lost its pages"
    return answers


CASES: dict[str, Callable[[Asking], list[Completion]]] = {
    "alone": alone,
    "16 together": together,
    "a beginning that is known": begun,
    "a session that is resumed": resumed,
    "pages that run out": preempted,
}


@contextmanager
def counted_preemptions() -> Iterator[list[None]]:
    """One entry for each request that loses its pages inside."""
    count, preempt = list[None](), Scheduler.preempt

    def counting(self: Scheduler, request: Request) -> None:
        count.append(None)
        preempt(self, request)

    Scheduler.preempt = counting
    try:
        yield count
    finally:
        Scheduler.preempt = preempt


def answers(llm: LLM, tokens: int) -> dict[str, list[Ids]]:
    """The ids of the answers of each case in each way."""
    found = {}
    for case, run in CASES.items():
        for way, sampling in WAYS.items():
            results = run(Asking(llm, f"{case} {way}", tokens, sampling))
            found[f"{case}, {way}"] = [tuple(result.token_ids) for result in results]
    return found


def difference(expected: Sequence[Ids], found: Sequence[Ids]) -> str | None:
    """The first answer that differs, as words; None: there is none."""
    for number, (one, other) in enumerate(zip(expected, found, strict=True), 1):
        if one != other:
            same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
            return f"answer {number} differs after {same} tokens"
    return None


def main() -> int:
    """Prints a table. 0: all tokens are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--stages", type=int, nargs="+", default=[2, 3], metavar="K")
    parser.add_argument("--tokens", type=int, default=16, metavar="N", help="of most answers")
    parser.add_argument("--ray", default=LOCAL, metavar="ADDRESS")
    options = parser.parse_args()
    with ModelFile.open(options.model) as file:
        page_bytes = bytes_of_page(file.config, options_of(LOADING))
    loading: LoadKeywords = {**LOADING, "cache_memory": PAGES * page_bytes}
    with kimi_cpu.load(options.model, **loading) as llm:
        expected = answers(llm, options.tokens)
    found = dict[int, dict[str, list[Ids]]]()
    with connected(options.ray, print, max(options.stages)):
        for count in options.stages:
            with load_stages(options.model, count, print, **loading) as llm:
                found[count] = answers(llm, options.tokens)
    print("| | tokens |" + "".join(f" {count} stages |" for count in found))
    print("|---|---:|" + "---|" * len(found))
    has_differences = False
    for case, ids in expected.items():
        told = [difference(ids, of[case]) for of in found.values()]
        has_differences |= any(told)
        print(f"| {case} | {sum(map(len, ids))} | {' | '.join(where or 'equal' for where in told)} |")
    return int(has_differences)


if __name__ == "__main__":
    sys.exit(main())
