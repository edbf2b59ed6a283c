"""Does llama.cpp, on the standard layout of a checkpoint, choose the tokens that this engine chooses?

    python benchmarks/agreement.py CHECKPOINT [CHECKPOINT …] [--positions 200]

Needs llama-cpp-python. Top-1 of both at positions where our top-2 margin is above 0.1, teacher-forced on random ids.
Writes results-agreement.md beside this file.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from llama_cpp import Llama
from machine import card

import kimi_cpu

RESULTS = Path(__file__).with_name("results-agreement.md")
MARGIN = 0.1


def ours(checkpoint: Path, folder: Path, ids: list[int], compute: str) -> np.ndarray:
    """Logits f32[len(ids), vocab] of the native file."""
    kimi_cpu.convert(checkpoint, folder / "native.gguf")
    with kimi_cpu.load(folder / "native.gguf", context=len(ids), compute=compute) as llm:
        return llm.logits(ids)


def theirs(checkpoint: Path, folder: Path, ids: list[int]) -> np.ndarray:
    """The same of llama.cpp on the standard file. It ignores a deepseek2 file's beta_fast, so that is passed."""
    kimi_cpu.convert(checkpoint, folder / "standard.gguf", layout="standard")
    llama = Llama(
        str(folder / "standard.gguf"),
        n_ctx=len(ids),
        n_batch=len(ids),
        logits_all=True,
        yarn_beta_fast=1.0,
        verbose=False,
    )
    llama.eval(ids)
    return np.array(llama.scores[: len(ids)])


def compare(checkpoint: Path, positions: int, compute: str) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        config = json.loads((checkpoint / "config.json").read_text())
        ids = np.random.default_rng(0).integers(3, config["vocab_size"], positions).tolist()
        a, b = ours(checkpoint, Path(folder), ids, compute), theirs(checkpoint, Path(folder), ids)
    best = np.sort(a, axis=-1)
    sure = best[:, -1] - best[:, -2] > MARGIN
    same = (a.argmax(-1) == b.argmax(-1))[sure]
    name = f"{checkpoint.parent.name}/{checkpoint.name}"
    row = f"| {name} | {compute} | {len(ids)} | {len(same)} | {100 * same.mean():.1f} % |"
    print(row, flush=True)
    return row


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--positions", type=int, default=200)
    args = parser.parse_args()
    rows = [compare(path, args.positions, compute) for path in args.checkpoints for compute in ("f32", "int8")]
    lines = [
        "# Agreement with llama.cpp",
        "",
        "Written by benchmarks/agreement.py: native file (q8_0) and standard file of one checkpoint,",
        f"teacher-forced on random ids; top-1 compared where our top-2 margin is above {MARGIN}.",
        "",
        *card(("numpy", "numba", "llama-cpp-python")),
        "",
        "| checkpoint | our activations | positions | with margin | same top-1 |",
        "|---|---|---|---|---|",
        *rows,
    ]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
