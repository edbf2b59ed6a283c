"""python -m tools.train_demo.finish RUN FILE: the last checkpoint of a run, exported and converted."""

import argparse
from pathlib import Path

import kimi_cpu

from .export import export, load_network

LICENCE = Path(__file__).parents[2] / "LICENSE"


def main() -> None:
    parser = argparse.ArgumentParser(description="Exports the last checkpoint to RUN/kimi-cpu-demo, and converts it.")
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    latest = options.run / (options.run / "latest").read_text()
    network = load_network(latest / "network.pt")
    checkpoint = export(network, options.run / "tokenizer", options.run / "kimi-cpu-demo", LICENCE)
    kimi_cpu.convert(checkpoint, options.file, force=True)


if __name__ == "__main__":
    main()
