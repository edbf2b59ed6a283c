"""Tokens a second of this engine and of its peers on the same weights, piece by piece in turn.

    python tools/make_slice.py DIR/hf --layers 4 --router-bias 0 --native DIR/native.gguf --standard DIR/standard.gguf
    python benchmarks/engine.py DIR/native.gguf DIR/standard.gguf --peer "ik native=/opt/ik/bin/python" [--peer …]
                                [--rows pp512,tg64,tg64@d4096,x16,tg64+busy] [--threads 2] [--seconds 60]
                                [--kv f16,int8] [--write]

A peer is a name and the interpreter that has it (benchmarks/PEERS.md). Every engine lives in its own process and sleeps
while another is measured. Rows are llama-bench's; x16 are steps of 16 sequences at a depth of 64 tokens, all sequences
counted; tg64+busy is tg64 beside a process that computes without end. A cache of int8 is measured in rows with a depth.

A round is one piece of each engine: a prompt, 16 tokens of a generation or 8 steps of many sequences. What the machine
can do is measured before and after each piece. Rounds follow each other for --seconds a row, at least 3, and begin with
another engine each time; one before them is not counted. The kernels are compiled and tuned first. --write adds the
rounds to results-engine-<tier>.json and writes the table beside it (results.py).
"""

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from statistics import median

import results
from machine import ROOT, facts
from results import OURS
from rows import PROMPT_STEP, Row, parse
from workers import Worker, named_python

HERE = Path(__file__).parent
LEAST_ROUNDS = 3


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("native", type=Path)
    parser.add_argument("standard", type=Path)
    parser.add_argument("--peer", type=named_python, action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--rows", default="tg64,x4,x16,pp512,pp2048,tg32@d4096,tg64+busy")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--seconds", type=float, default=60, help="of rounds, for a row")
    parser.add_argument("--kv", default="f16,int8", help="our types of cache; the peers' is f16")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    subprocess.run([sys.executable, "-m", "kimi_cpu", "warmup"], cwd=ROOT, stdout=sys.stderr, check=True)
    found = []
    for threads in map(int, args.threads.split(",")):
        with ExitStack() as stack:
            for run in runs(args, threads, stack):
                found.append(run)
                print(results.table([run])[2], flush=True)
                if args.write:
                    results.add(HERE / f"results-engine-{run['isa']}.json", run)
    print("\n".join(["", *results.table(found)]))


def runs(args: argparse.Namespace, threads: int, stack: ExitStack) -> Iterator[dict]:
    """One run a row, as results.py describes it. The engines end with the stack."""

    def start(script: str, python: str = sys.executable, **settings) -> Worker:
        worker = Worker(HERE / script, python, threads=threads, **settings)
        stack.callback(worker.close)
        return worker

    rows = {name: parse(name) for name in args.rows.split(",")}
    context = max(row.context for row in rows.values()) + PROMPT_STEP
    native, standard = args.native.resolve(), args.standard.resolve()
    engines = {f"{OURS} {kv}": start("ours.py", path=native, kv=kv, context=context) for kv in args.kv.split(",")}
    for name, python in args.peer:
        engines[name] = start("peers.py", python, path=standard, context=context)
    machine = start("bounds.py")
    about, isa = {name: engine.ask("about") for name, engine in engines.items()}, machine.ask("about")["isa"]
    for name, row in rows.items():
        those = {n: e for n, e in engines.items() if row.depth or n != f"{OURS} int8"}
        run = {"row": name, "threads": threads, "isa": isa, "begun": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        run |= {"machine": facts(("numpy", "numba")), "model_bytes": native.stat().st_size}
        yield run | {"about": {n: about[n] for n in those}} | measure(name, row, those, machine, args.seconds)


def measure(name: str, row: Row, engines: dict[str, Worker], machine: Worker, seconds: float) -> dict[str, dict]:
    """{"pieces", "needs"} of a run."""
    pieces = {engine: {"rate": [], "reader": [], "macs": []} for engine in engines}
    needs = {engine: {"bytes": [], "macs": []} for engine in engines if engine.startswith(OURS)}
    order, turn, end = list(engines), 0, math.inf
    while turn <= LEAST_ROUNDS or time.monotonic() < end:
        before = machine.ask("bounds")
        for engine in order:
            with busy() if row.busy else nullcontext():
                answer = engines[engine].ask("piece", name, turn)
            after = machine.ask("bounds")
            if turn:
                pieces[engine]["rate"].append(answer["rate"])
                for bound in ("reader", "macs"):
                    pieces[engine][bound].append((before[bound] + after[bound]) / 2)
                for need, values in needs.get(engine, {}).items():
                    values.append(answer[need])
            before = after
        end = min(end, time.monotonic() + seconds)  # from the end of the first round on, which prepares
        order.append(order.pop(0))
        turn += 1
    return {"pieces": pieces, "needs": {e: {n: median(v) for n, v in of.items()} for e, of in needs.items()}}


@contextmanager
def busy() -> Iterator[None]:
    """Beside a process that computes without end."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
