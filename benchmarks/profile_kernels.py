"""Shares of the time of decoding and of a prompt, kernel by kernel. Writes results-profile.md.

    python tools/make_slice.py DIR/hf --layers 4 --router-bias 0 --native DIR/native.gguf
    python benchmarks/profile_kernels.py DIR/native.gguf [--threads 2] [--tokens 48]

Everything runs twice. Once a program's calls are made one by one, a clock is read before and after every entry, and the
table has the shares of their sum; then programs run as they are, and what is left of the forward pass beside compiled
code is Python's share. Anonymous memory is all that the process has beyond files that it maps: Python, code,
the cache's pages, work space; it is read between the two.
"""

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from machine import anonymous_bytes, card

import kimi_cpu
from kimi_cpu.kernels import Program
from kimi_cpu.kernels.codegen import jit
from kimi_cpu.model import Kimi

RESULTS = Path(__file__).with_name("results-profile.md")
CHUNK = 512
SEQUENCES = 16


class Profile:
    """Seconds and calls of each entry while `on`, and of the forward passes around them; `apart`: also in programs."""

    def __init__(self):
        self.on, self.apart, self.anonymous = False, True, 0
        self._clear()
        call, forward, run = jit.Bound.__call__, Kimi.forward, Program.run

        def timed_call(bound):
            begin = time.perf_counter()
            call(bound)
            if self.on and self.apart:
                self.seconds[bound.kernel.name.strip("_")] += time.perf_counter() - begin
                self.calls[bound.kernel.name.strip("_")] += 1
            elif self.on:
                self.compiled += time.perf_counter() - begin

        def timed_forward(model, *arguments):
            begin = time.perf_counter()
            logits = forward(model, *arguments)
            self.forward += (time.perf_counter() - begin) * (self.on and not self.apart)
            return logits

        def run_apart(program):
            if not self.apart:
                return run(program)
            for recorded in program.calls:
                recorded()

        jit.Bound.__call__, Kimi.forward, Program.run = timed_call, timed_forward, run_apart

    def _clear(self) -> None:
        self.seconds, self.calls, self.forward, self.compiled = Counter(), Counter(), 0.0, 0.0

    def table(self, title: str, work: Callable[[], None]) -> list[str]:
        """Lines of Markdown about `work`, which turns `on` on and off; the largest share first."""
        self.apart = True
        work()
        self.anonymous = anonymous_bytes(os.getpid())
        self.apart = False
        work()
        total = sum(self.seconds.values())
        lines = ["", f"## {title}", "", "| entry | calls | us a call | share |", "|--|--|--|--|"]
        for name, seconds in self.seconds.most_common():
            calls = self.calls[name]
            lines.append(f"| {name} | {calls} | {1e6 * seconds / calls:.0f} | {100 * seconds / total:.1f} % |")
        lines.append(f"| Python, of the forward pass | | | {100 * (1 - self.compiled / self.forward):.1f} % |")
        self._clear()
        return lines


def prompt(llm: kimi_cpu.LLM, count: int) -> list[int]:
    """Random ids."""
    return [random.randrange(llm.config.vocab_size) for _ in range(count)]


def together(llm: kimi_cpu.LLM, profile: Profile, tokens: int) -> None:
    """SEQUENCES answers at once, from the step on in which all of them have begun."""
    handles = [
        llm.stream(prompt(llm, 4), max_tokens=tokens, temperature=0.0, ignore_eos=True) for _ in range(SEQUENCES)
    ]
    for handle in handles:
        next(piece for piece in handle if piece.token_ids)
    profile.on = True
    next(piece for piece in handles[0] if piece.finish_reason)
    profile.on = False
    for handle in handles:
        list(handle)


def decode(llm: kimi_cpu.LLM, profile: Profile, tokens: int, depth: int) -> None:
    """One answer after a prompt, from its first token on: the prompt is done."""
    for piece in llm.stream(prompt(llm, depth), max_tokens=tokens + 1, temperature=0.0, ignore_eos=True):
        profile.on = bool(piece.token_ids) or profile.on
    profile.on = False


def prefill(llm: kimi_cpu.LLM, profile: Profile, count: int) -> None:
    """A prompt."""
    profile.on = True
    llm.generate(prompt(llm, count), max_tokens=1, temperature=0.0)
    profile.on = False


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tokens", type=int, default=48, help="generated ones")
    args = parser.parse_args()
    profile, lines = Profile(), []
    with kimi_cpu.load(args.model, threads=args.threads, context=8192, speculate=False) as llm:
        llm.generate(prompt(llm, 4), max_tokens=args.tokens, temperature=0.0, ignore_eos=True)
        for depth in (4, 4096):
            title = f"{args.tokens} tokens generated after {depth}"
            lines += profile.table(title, partial(decode, llm, profile, args.tokens, depth))
            lines += ["", f"Anonymous memory of the process: {profile.anonymous >> 20} MiB."]
        lines += profile.table(f"Steps of {SEQUENCES} sequences", partial(together, llm, profile, args.tokens))
        for count in (CHUNK, 4 * CHUNK):
            lines += profile.table(f"A prompt of {count} tokens", partial(prefill, llm, profile, count))
    head = ["# Shares of time", "", "Written by benchmarks/profile_kernels.py.", "", *card()]
    RESULTS.write_text("\n".join([*head, *lines]) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
