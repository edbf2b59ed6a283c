"""The benchmark of files larger than the memory on a small one, made for it: all of it works, and tokens are equal.

    python benchmarks/out_of_core_sample.py

A file of half a GB is read in its mapping, and with room for some of its experts, in processes without a limit. The
tokens of a prompt must be the same, some experts must have been there, and some read. The speeds that are shown are no
measurement, and nothing is expected of them: .ci/run runs this on any machine, in half a minute.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

from benchmarks.out_of_core import HEAD, budget_of, disk_rate, engine_command, figures, row_of  # noqa: E402
from benchmarks.out_of_core_engine import PIECE  # noqa: E402
from kimi_cpu import convert  # noqa: E402
from tools.make_slice import slice_config, write  # noqa: E402

SHARES = (25, 50)  # percent of the experts that fit
WIDTHS = {
    "hidden_size": 2048,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "q_lora_rank": 512,
}


def main() -> None:
    """See the module's docstring."""
    with tempfile.TemporaryDirectory(prefix="kimi-cpu-sample-") as folder:
        path = made(Path(folder))
        expected = measured(path, None)["answer"]
        cells = [HEAD[0], *HEAD[2:8]]
        print(row_of(cells), "|" + "---|" * len(cells), sep="\n", flush=True)
        for share in SHARES:
            found = measured(path, budget_of(path, share))
            print(row_of([f"{share} %", *figures(found, found["pieces"])]), flush=True)
            check(share, found, expected)


def made(folder: Path) -> Path:
    """The file, from a checkpoint that is made and removed."""
    config = slice_config(layers=5, experts=64, expert_width=512, vocab=2048) | WIDTHS
    write(folder / "hf", config, seed=0, router_bias=0.0)
    convert(folder / "hf", folder / "native.gguf")
    return folder / "native.gguf"


def measured(path: Path, budget: int | None) -> dict:
    """What a process measures with a budget, or of the mapped file, with the model's own routing."""
    rate = disk_rate(path)
    settings = {"budget": budget, "routing": "own", "tokens": 2 * PIECE, "prompt": 0, "disks": [0.0], "rate": rate}
    environment = os.environ | {"XDG_STATE_HOME": str(path.parent)}  # what is left behind goes with the file
    done = subprocess.run(
        engine_command(path, settings), stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return {**json.loads(done.stdout.splitlines()[-1]), "rate": rate}


def check(share: int, found: dict, expected: list[int]) -> None:
    """SystemExit: the tokens are others, all experts were in memory, or none."""
    if found["answer"] != expected:
        raise SystemExit(
            f"With {share} % of the experts in memory a prompt's tokens are {found['answer']}, with all of "
            f"them {expected}."
        )
    missing = np.mean([piece["missing"] for piece in found["pieces"]]) / found["top_k"]
    if not 0 < missing < 1:
        raise SystemExit(f"With room for {share} % of the experts {missing:.0%} were absent: nothing was tried.")


if __name__ == "__main__":
    main()
