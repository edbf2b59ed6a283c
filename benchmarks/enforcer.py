"""The cost of the mask at Kimi's vocabulary: median and maximum a token. Writes results-enforcer.md.

    python benchmarks/enforcer.py [--calls 120]

Calls of the thirty schemas of the tests are drawn from random logits under the mask, as the tests draw them, which is
harder than what a model writes: every token of the vocabulary turns up. Timed is one step of a request as the engine
takes it, mask(), forced() and accept(); the drawing is not.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kimi_cpu.chat import Enforcer  # noqa: E402
from tests.chat.enforcer_schemas import SCHEMAS  # noqa: E402
from tests.chat.enforcing import IDS, KIMI, WISHES, draw, tool  # noqa: E402

RESULTS = Path(__file__).with_name("results-enforcer.md")


def preferences() -> list[np.ndarray]:
    """For each of WISHES the ids that it prefers."""
    tokens = [KIMI.token_bytes(i) for i in range(KIMI.n_vocab)]
    return [np.array([i for i, t in enumerate(tokens) if set(t) <= set(w)], int) for w in WISHES]


def timed_call(schema: dict, preferred: np.ndarray, seed: int) -> tuple[float, list[float]]:
    """Seconds to make the Enforcer of a request, and of each of its steps."""
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    enforcer = Enforcer(KIMI, [tool(schema)], "required")
    ready = time.perf_counter() - start
    enforcer.accept(IDS["section"])
    steps = []
    while True:
        start = time.perf_counter()
        mask, token_id = enforcer.mask(), enforcer.forced()
        seconds = time.perf_counter() - start
        token_id = draw(mask, preferred, rng) if token_id is None else token_id
        start = time.perf_counter()
        enforcer.accept(token_id)
        steps.append(seconds + time.perf_counter() - start)
        if token_id in KIMI.eos_ids:
            return ready, steps


def machine() -> str:
    """The processor's name, the number of its cores, and the versions that matter."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, numpy {np.__version__}, llguidance {version('llguidance')}; "
        f"commit {commit or 'unknown'}, {date.today()}."
    )


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=120)
    num_calls = parser.parse_args().calls
    start = time.perf_counter()
    Enforcer(KIMI)
    first = time.perf_counter() - start
    preferred = preferences()
    runs = [
        timed_call(SCHEMAS[n % len(SCHEMAS)], preferred[(n + n // len(SCHEMAS)) % len(preferred)], n)
        for n in range(num_calls)
    ]
    steps = 1e3 * np.concatenate([steps for _, steps in runs])
    ready = 1e3 * np.array([ready for ready, _ in runs[: len(SCHEMAS)]])  # the later ones find them compiled
    text = f"""# Cost of the enforcer

Written by benchmarks/enforcer.py: {num_calls} requests of tool calls over {len(SCHEMAS)} schemas, drawn from random
logits under the mask; {KIMI.n_vocab:,} token ids, one thread, {len(steps):,} tokens.

{machine()}

| ms a token: mask(), forced() and accept() | |
|---|---|
| median | {np.median(steps):.3f} |
| 99th percentile | {np.percentile(steps, 99):.3f} |
| maximum | {steps.max():.3f} |

| ready after (ms) | |
|---|---|
| the vocabulary, once a process | {1e3 * first:.0f} |
| a request with one tool, not seen before: median (maximum) | {np.median(ready):.1f} ({ready.max():.1f}) |
"""
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
