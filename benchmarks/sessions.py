"""What a step of a long conversation costs to save: its own pages, or all of them.

    python benchmarks/sessions.py [--tokens 1000,10000,100000] [--step 50] [--layers 61] [--kv f16] [--rounds 3]
                                  [--folder DIR] [--write]

Pages of K2's widths without a model: what is in them does not matter to a file. For each length a session is saved to a
file that is not there yet, then a step of new tokens into that file; both are fsynced when `save` returns. Bytes are
those that the process hands to the system, as /proc/self/io counts them. --write puts the table in results-cache.md.
The largest file has 70 KB a token at 61 layers in f16.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import card, put_part, spread

from kimi_cpu.engine.block_pool import ROOT, Tokens, num_pages
from kimi_cpu.engine.prefix_cache import PrefixCache
from kimi_cpu.engine.session import Session, save
from kimi_cpu.model import PAGE_TOKENS, KVCache

RESULTS = Path(__file__).parent / "results-cache.md"
LATENT, ROPE, VOCAB = 512, 64, 163_840  # K2's


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", default="1000,10000,100000")
    parser.add_argument("--step", type=int, default=50)
    parser.add_argument("--layers", type=int, default=61)
    parser.add_argument("--kv", default="f16")
    parser.add_argument("--rounds", type=int, default=3, help="steps that are saved, each after the one before")
    parser.add_argument("--folder", type=Path, help="where the files are written, default the temporary directory")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lines = [
        "| tokens before | all of it: s | MB | a step: s | MB |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for count in (int(n) for n in args.tokens.split(",")):
            lines.append(row(Path(folder) / "talk", count, args))
            print(lines[-1], flush=True)
    if args.write:
        about = (
            f"Written by benchmarks/sessions.py: {args.layers} layers, {args.kv}; all of a session saved to a new file,"
        )
        then = f"then steps of {args.step} tokens into it: median (smallest-largest) of {args.rounds}."
        put_part(RESULTS, "Cache, sessions and company", "Saving a session", [about, then, "", *card(), "", *lines])


def row(path: Path, count: int, args) -> str:
    """One line of the table."""
    rng, lengths = np.random.default_rng(0), [count + args.step * i for i in range(args.rounds + 1)]
    longest = Tokens(rng.integers(0, VOCAB, lengths[-1], np.int32), rng.integers(0, 2, lengths[-1], np.uint8))
    pages = KVCache(args.kv, sum(map(num_pages, lengths)), args.layers, LATENT, ROPE)
    cache, costs = PrefixCache(pages), []
    for length in lengths:
        fill(cache, longest.part(0, length))
        written, began = written_bytes(), time.perf_counter()
        save(Session(longest.part(0, length)), cache, path, "K2")
        costs.append((time.perf_counter() - began, (written_bytes() - written) / 1e6))
    os.unlink(path)
    (whole_s, whole_mb), steps = costs[0], list(zip(*costs[1:], strict=True))
    return f"| {count} | {whole_s:.2f} | {whole_mb:.1f} | {spread(steps[0], 3)} | {spread(steps[1])} |"


def fill(cache: PrefixCache, tokens: Tokens) -> None:
    """Makes all tokens but the last findable, on pages that were never written: they take no memory."""
    block_ids, parent = cache.pool.allocate(num_pages(len(tokens.ids) - 1)), ROOT
    for number, block_id in enumerate(block_ids):
        start = number * PAGE_TOKENS
        parent = cache.pool.register(
            block_id, parent, tokens.part(start, min(start + PAGE_TOKENS, len(tokens.ids) - 1))
        )
    cache.pool.release(block_ids)


def written_bytes() -> int:
    """Bytes that this process has handed to the system in calls that write."""
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


if __name__ == "__main__":
    main()
