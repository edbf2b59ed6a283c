"""Where the time of decoding and of a prompt goes, kernel by kernel. Writes results-profile.md.

    python tools/make_slice.py DIR/hf --layers 4 --native DIR/native.gguf
    python benchmarks/profile_kernels.py DIR/native.gguf [--threads 2] [--tokens 48]

A clock is read before and after every call of a compiled entry; what is left of the forward pass is Python's. Anonymous
memory is all that the process has beyond files that it maps: Python, code, the cache's pages, work space.
"""

import argparse
import os
import random
import time
from collections import Counter
from pathlib import Path

from machine import anonymous_bytes, card

import kimi_cpu
from kimi_cpu.kernels import jit
from kimi_cpu.model import Kimi

RESULTS = Path(__file__).with_name("results-profile.md")
CHUNK = 512
SEQUENCES = 16


class Profile:
    """Seconds and calls of each entry while `on`, and of the forward passes around them."""

    def __init__(self):
        self.seconds, self.calls, self.forward, self.on = Counter(), Counter(), 0.0, False
        call, forward = jit.Kernel.__call__, Kimi.forward

        def timed_call(kernel, *arguments):
            begin = time.perf_counter()
            call(kernel, *arguments)
            if self.on:
                self.seconds[kernel.name.strip("_")] += time.perf_counter() - begin
                self.calls[kernel.name.strip("_")] += 1

        def timed_forward(model, *arguments):
            begin = time.perf_counter()
            logits = forward(model, *arguments)
            self.forward += (time.perf_counter() - begin) * self.on
            return logits

        jit.Kernel.__call__, Kimi.forward = timed_call, timed_forward

    def table(self, title: str) -> list[str]:
        """Lines of Markdown, the largest share first; forgets what was measured."""
        lines = ["", f"## {title}", "", "| entry | calls | us a call | share |", "|--|--|--|--|"]
        for name, seconds in self.seconds.most_common():
            calls = self.calls[name]
            lines.append(f"| {name} | {calls} | {1e6 * seconds / calls:.0f} | {100 * seconds / self.forward:.1f} % |")
        rest = 100 * (1 - sum(self.seconds.values()) / self.forward)
        lines.append(f"| Python between entries | | | {rest:.1f} % |")
        self.seconds, self.calls, self.forward = Counter(), Counter(), 0.0
        return lines


def prompt(llm: kimi_cpu.LLM, count: int) -> list[int]:
    """Random ids."""
    return [random.randrange(llm.config.vocab_size) for _ in range(count)]


def together(llm: kimi_cpu.LLM, profile: Profile, tokens: int) -> list[str]:
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
    return profile.table(f"Steps of {SEQUENCES} sequences")


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
            handle = llm.stream(prompt(llm, depth), max_tokens=args.tokens + 1, temperature=0.0, ignore_eos=True)
            for piece in handle:
                profile.on = bool(piece.token_ids) or profile.on  # from the first token on: the prompt is done
            profile.on = False
            lines += profile.table(f"{args.tokens} tokens generated after {depth}")
            lines += ["", f"Anonymous memory of the process afterwards: {anonymous_bytes(os.getpid()) >> 20} MiB."]
        lines += together(llm, profile, args.tokens)
        for count in (CHUNK, 4 * CHUNK):
            profile.on = True
            llm.generate(prompt(llm, count), max_tokens=1, temperature=0.0)
            profile.on = False
            lines += profile.table(f"A prompt of {count} tokens")
    head = ["# Shares of time", "", "Written by benchmarks/profile_kernels.py.", "", *card()]
    RESULTS.write_text("\n".join([*head, *lines]) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
