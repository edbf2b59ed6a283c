"""What is not computed twice, and what company costs: this engine and a peer on the same weights, in turn.

    python tools/make_slice.py DIR/hf --layers 4 --router-bias 0 --native DIR/native.gguf --standard DIR/standard.gguf
    python benchmarks/cache.py DIR/native.gguf DIR/standard.gguf [--peer NAME=PYTHON] [--threads 2] [--rounds 3]
                               [--parts reuse,decode,many] [--prefix 8192] [--samples 8x4096] [--session 32768]
                               [--depths 0,4096,16384,65536] [--sequences 1,2,4,8,16,32] [--kv f16,int8] [--write]

The peer is a name and the interpreter that has it, as for engine.py (PEERS.md). Each engine lives in its own process
and sleeps while the other is measured.
reuse: a second request with the same beginning, samples of one prompt, and a session from disk (its file is dropped
from the page cache before it is read), each beside the same computed anew. decode: tg32 at several depths. many: steps
of several sequences at a depth of 64. The peer is asked through its C functions, at its best: prefixes are kept and
copied by hand where a server would have to find them. --write puts each table in results-cache.md as it is there; a
size of 0 leaves a line of reuse out.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median

from machine import card, put_part, spread
from rows import NEW_TOKENS
from workers import Worker, named_python

HERE = Path(__file__).parent
RESULTS = HERE / "results-cache.md"
GENERATED = 32  # tokens of a decode row


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("native", type=Path)
    parser.add_argument("standard", type=Path)
    parser.add_argument("--parts", default="reuse,decode,many")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefix", type=int, default=8192)
    parser.add_argument("--samples", default="8x4096", help="samples x tokens of their prompt; 0x0: none")
    parser.add_argument("--session", type=int, default=32768)
    parser.add_argument("--depths", default="0,4096,16384,65536")
    parser.add_argument("--sequences", default="1,2,4,8,16,32")
    parser.add_argument("--kv", default="f16,int8", help="our types of cache; the peer's is f16")
    parser.add_argument("--peer", type=named_python, default=("", ""), metavar="NAME=PYTHON")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    parts = args.parts.split(",")
    depths = [int(d) for d in args.depths.split(",")] if "decode" in parts else [0]
    num_samples, sample_tokens = (int(n) for n in args.samples.split("x"))
    longest = max(args.prefix, num_samples * sample_tokens, args.session) if "reuse" in parts else 0
    common = {"threads": args.threads, "context": max(longest, *depths) + 1024}
    ours, theirs = HERE / "cache_ours.py", HERE / "cache_peers.py"
    workers = {
        f"kimi-cpu {kv}": Worker(ours, sys.executable, path=args.native.resolve(), kv=kv, **common)
        for kv in args.kv.split(",")
    }
    peer, python = args.peer
    if peer:
        workers[peer] = Worker(theirs, python, path=args.standard.resolve(), **common)
    args.about = [f"{name}: {'; '.join(worker.ask('about').values())}." for name, worker in workers.items()]
    if "reuse" in parts:
        reuse(workers, args, num_samples, sample_tokens)
    if "decode" in parts:
        rows = [f"tg{GENERATED}@d{d}" if d else f"tg{GENERATED}" for d in depths]
        put(args, "Decoding at a depth, tokens a second", rates(rows, workers, args.rounds, peer))
    if "many" in parts:
        rows = [f"x{n}" for n in args.sequences.split(",")]
        put(args, "Several sequences, tokens a second of all", rates(rows, workers, args.rounds, peer))
    for worker in workers.values():
        worker.close()


def put(args, title: str, table: list[str]) -> None:
    """With --write: a part of results-cache.md, with what it was measured on; the other parts stay."""
    if args.write:
        put_part(RESULTS, "Cache, sessions and company", title, [*_head(args), "", *table])


def reuse(workers: dict, args, num_samples: int, sample_tokens: int) -> None:
    """Seconds to do a thing anew, seconds with what was kept, and their ratio: a part each."""
    questions = [
        (f"first token after {args.prefix} tokens that were seen, {NEW_TOKENS} new", "prefix", [args.prefix]),
        (f"{num_samples} samples of a prompt of {sample_tokens} tokens", "samples", [num_samples, sample_tokens]),
        (f"a session of {args.session} tokens from disk", "session", [args.session]),
    ]
    for text, what, numbers in questions:
        if not numbers[-1]:
            continue
        lines = ["| | engine | anew | with what was kept | ratio |", "|---|---|---|---|---|"]
        found = {name: [] for name in workers}
        for _ in range(args.rounds):
            for name, worker in workers.items():
                found[name].append(worker.ask(what, *numbers))
        for name, answers in found.items():
            anew, kept = [a["anew"] for a in answers], [a["kept"] for a in answers]
            ratio = spread((k / a for a, k in zip(anew, kept, strict=True)), 4)
            label = text
            if what == "samples":
                apart = spread((a["apart"] for a in answers), 2)
                label += f"; anew: one, {num_samples} apart take {apart}"
            lines.append(f"| {label} | {name} | {spread(anew, 2)} | {spread(kept, 3)} | {ratio} |")
            print(lines[-1], flush=True)
        put(args, f"Reuse: {what}, seconds", lines)


def rates(rows: list[str], workers: dict, rounds: int, peer: str) -> list[str]:
    """A table of benchmarks/engine.py's rows: median of the rounds after one that is not counted, ratio to the peer."""
    names = list(workers)
    lines = [
        "| | " + " | ".join(names) + (f" | ratio to {peer} |" if peer else " | |"),
        "|---" * (len(names) + 2) + "|",
    ]
    for row in rows:
        found = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name, worker in workers.items():
                rate = worker.ask("piece", row, turn)["rate"]
                if turn:
                    found[name].append(rate)
        ours = [rates for name, rates in found.items() if name != peer]
        ratios = ", ".join(f"{median(rates) / median(found[peer]):.2f}" for rates in ours) if peer else ""
        lines.append(f"| {row} | " + " | ".join(spread(r) for r in found.values()) + f" | {ratios} |")
        print(lines[-1], flush=True)
    return lines


def _head(args) -> list[str]:
    size = args.native.stat().st_size / 1e9
    return [
        f"Written by benchmarks/cache.py: median (smallest-largest) of {args.rounds} alternating rounds, "
        f"{args.threads} threads, {args.native.name} of {size:.2f} GB.",
        *args.about,
        "The peer keeps and copies prefixes by hand; llama.cpp's cache is filled with copies of 512 tokens at a depth.",
        "",
        *card(),
    ]


if __name__ == "__main__":
    main()
