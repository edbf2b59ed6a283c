"""python -m tools.train_demo RUN: makes the data, trains, and leaves checkpoints and log.jsonl in the directory RUN."""

import argparse
from pathlib import Path

from .train import prepare, train


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the demonstration model; started again, it resumes.")
    parser.add_argument("run", type=Path, help="directory of the tokenizer, the data, the checkpoints and the log")
    parser.add_argument("--processes", type=int, default=2, help="one a core [default: 2]")
    options = parser.parse_args()
    prepare(options.run)
    train(options.run, options.processes)


if __name__ == "__main__":
    main()
