"""The first minute of a newcomer: from a clone of this repository to the first answer, with nothing compiled before.

    python benchmarks/first_minute.py [--wheels DIR] [--rounds 5] [--write]

Every round has a clone of the present commit, a virtual environment and an empty home of its own, and removes them. It
installs as the README says and asks the demonstration model; then the cache of compiled code is removed, and a program
of Python asks. --wheels: a folder with a wheel of everything that is installed (`pip download -d DIR . setuptools`), so
that no network counts. --write puts the table in results-first-minute.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import ROOT, card, put_part, spread

RESULTS = Path(__file__).parent / "results-first-minute.md"
QUESTION = "What is 17 + 25?"
PROGRAM = f"import kimi_cpu; print(kimi_cpu.load().chat([{{'role': 'user', 'content': {QUESTION!r}}}]).content)"
STEPS = {  # what is done: the command, in the clone
    "git clone": ["git", "clone", "-q", str(ROOT), "."],
    "python3 -m venv .venv": [sys.executable, "-m", "venv", ".venv"],
    "pip install .": [".venv/bin/pip", "install", "-q", "--disable-pip-version-check", "."],
    "first answer of `kimi-cpu run`": [".venv/bin/kimi-cpu", "run", QUESTION],
    "second answer of `kimi-cpu run`": [".venv/bin/kimi-cpu", "run", QUESTION],
    "first answer of a program, nothing compiled": [".venv/bin/python", "-c", PROGRAM],
}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rounds = [measure(args.wheels) for _ in range(args.rounds)]
    newcomers = [sum(list(times.values())[:4]) for times in rounds]
    lines = ["| | s |", "|---|---|"]
    lines += [f"| {step} | {spread(times[step] for times in rounds)} |" for step in STEPS]
    lines += [f"| from the clone to the first answer | {spread(newcomers)} |"]
    print("\n".join(lines))
    if args.write:
        source = "wheels in a folder" if args.wheels else "the network"
        about = f"Written by benchmarks/first_minute.py: median (smallest-largest) of {args.rounds} rounds; pip takes"
        put_part(
            RESULTS, "The first minute", "Seconds", [about, f"what it installs from {source}.", "", *card(), "", *lines]
        )


def measure(wheels: Path | None) -> dict[str, float]:
    """Seconds of each step of one round."""
    with tempfile.TemporaryDirectory() as folder:
        home, clone = Path(folder) / "home", Path(folder) / "kimi-cpu"
        home.mkdir()
        clone.mkdir()
        env = {"HOME": str(home), "PATH": os.environ["PATH"], "PIP_NO_CACHE_DIR": "1"}
        if wheels is not None:
            env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels.resolve())}
        times = {}
        for step, command in STEPS.items():
            if command[-1] == PROGRAM:
                shutil.rmtree(home / ".cache")
            began = time.perf_counter()
            subprocess.run(command, cwd=clone, env=env, check=True, capture_output=True)
            times[step] = time.perf_counter() - began
            print(f"{step}: {times[step]:.1f} s", flush=True)
        return times


if __name__ == "__main__":
    main()
