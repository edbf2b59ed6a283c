"""Tokens a second of two checkouts of this repository, in turn, and the ratio of each pair.

    git worktree add ../before main
    python benchmarks/pairs.py ../before . MODEL [-p 512] [-n 64] [-d 0,4096] [-t 2] [--rounds 5]

Every round starts `kimi-cpu bench` in one checkout and then in the other, and rounds take turns in which is first, so
that whatever else the machine does meets both. The last column is the median of the ratios after : before.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("-p", "--prompts", default="512")
    parser.add_argument("-n", "--generations", default="64")
    parser.add_argument("-d", "--depths", default="0,4096")
    parser.add_argument("-t", "--threads")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    options = ["-p", given.prompts, "-n", given.generations, "-d", given.depths, "-r", "1", "--json"]
    options += ["-t", given.threads] if given.threads else []
    rates: dict[str, list[tuple[float, float]]] = {}
    for number in range(given.rounds):
        order = (given.before, given.after) if number % 2 == 0 else (given.after, given.before)
        of = {checkout: bench(checkout, given.model, options) for checkout in order}
        for row, rate in of[given.before].items():
            rates.setdefault(row, []).append((rate, of[given.after][row]))
    print(f"{'':>16} {'before':>9} {'after':>9} {'ratio':>7}")
    for row, pairs in rates.items():
        before, after = (median(column) for column in zip(*pairs, strict=True))
        ratio = median(after / before for before, after in pairs)
        print(f"{row:>16} {before:9.2f} {after:9.2f} {ratio:7.3f}")


def bench(checkout: Path, model: Path, options: list[str]) -> dict[str, float]:
    """Row -> tokens a second, measured with the package as it is in the checkout."""
    command = [sys.executable, "-m", "kimi_cpu", "bench", "-m", str(model.resolve()), *options]
    run = subprocess.run(
        command, cwd=checkout, env=os.environ | {"PYTHONPATH": "."}, stdout=subprocess.PIPE, text=True, check=True
    )
    return {row["test"]: row["median_ts"] for row in json.loads(run.stdout)}


if __name__ == "__main__":
    main()
