"""python -m tools.train_demo.evaluate FILE [--run RUN --checkpoint DIR] -o SCORES.json: all figures of the model card.

FILE: the model file. RUN: the training run's directory, for INT4 against unquantised experts. DIR: the exported
checkpoint, for transformers' logits. Each figure is written when it is there; started again, it measures what is left.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kimi_cpu

from . import examination
from .scores import COUNTS, agreement, prose_ids, score


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a demonstration model on held-out questions.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--run", type=Path, help="the training run")
    parser.add_argument("--checkpoint", type=Path, help="the exported checkpoint")
    parser.add_argument("--share", type=float, default=1.0, help="of the tasks' questions [default: all]")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    figures = Figures(options.out, options.file)
    with kimi_cpu.load(options.file) as llm:
        figures.add("examination", lambda: examined(llm))
        print(examination.table(figures.found["examination"]), flush=True)
        for task, count in COUNTS.items():
            figures.add(f"scores/{task}", lambda: score(llm, task, max(4, int(count * options.share))))  # noqa: B023
            print(task, *figures.found[f"scores/{task}"], flush=True)
        with kimi_cpu.load(options.file, compute="f32", kv="f32") as f32:
            figures.add("int8", lambda: vars(agreement(llm, f32, prose_ids(llm))))
        if options.checkpoint or options.run:
            from . import rounding  # loads torch, which only these figures need

            if options.checkpoint:
                figures.add("transformers", lambda: rounding.against_transformers(llm, options.checkpoint))
            if options.run:
                latest = options.run / (options.run / "latest").read_text()
                tokenizer = options.run / "tokenizer"
                figures.add("int4", lambda: rounding.int4_losses(latest / "network.pt", tokenizer))


class Figures:
    """What was measured of a model file, kept in a file as it comes. found: name -> figure."""

    def __init__(self, path: Path, model_file: Path):
        self._path = path
        sha256 = hashlib.sha256(model_file.read_bytes()).hexdigest()
        self.found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        if self.found.get("sha256") != sha256:  # of another model
            self.found = {"sha256": sha256}

    def add(self, name: str, measure: Callable[[], Any]) -> None:
        """Measures, unless an earlier run has."""
        if name not in self.found:
            self.found[name] = measure()
            part = self._path.with_name(self._path.name + ".part")
            part.write_text(json.dumps(self.found, indent=1) + "\n")
            part.rename(self._path)


def examined(llm: kimi_cpu.LLM) -> dict[str, Any]:
    """The examination's results: by kind, and every question with its answers."""
    results = examination.sit(llm, examination.questions())
    answered = [[r.verdict, r.question.kind, r.question.said, *r.answers] for r in results]
    return {"kinds": examination.by_kind(results), "answers": answered}


if __name__ == "__main__":
    main()
