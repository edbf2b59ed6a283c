"""python -m tools.train_demo RUN: trains, and leaves checkpoints and log.jsonl in the directory RUN."""

import argparse
from pathlib import Path

import torch

from . import recipe
from .train import Trainer, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the demonstration model; started again, it resumes.")
    parser.add_argument("run", type=Path, help="directory of the tokenizer, the checkpoints and the log")
    options = parser.parse_args()
    prepare(options.run)
    Trainer(options.run, "cuda" if torch.cuda.is_available() else "cpu").run_to(recipe.STEPS)


if __name__ == "__main__":
    main()
