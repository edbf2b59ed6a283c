"""Makes a model file of Kimi K2 Thinking's full size, 584 GB, of which a few MB lie on the disk.

    python tools/make_sparse_k2.py FILE

Header, tensor table and tokenizer are the true ones, each layer's first norm is ones, by which it is known to be there,
and all other weights are holes of the file, which read as zeros: what an engine does about memory can be tried, with a
routing that is imposed on it. Every answer is the same token, and `kimi-cpu verify` finds that no weight is what its
hash says.
"""

import argparse
import os
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

from kimi_cpu.config import config_from_hf  # noqa: E402
from kimi_cpu.conversion.blueprint import place  # noqa: E402
from kimi_cpu.conversion.checkpoint import read_config  # noqa: E402
from kimi_cpu.conversion.native import blueprint  # noqa: E402
from kimi_cpu.conversion.source import Source, SourceTensor  # noqa: E402
from kimi_cpu.modelfile.layout import HASHES, TOKENIZER  # noqa: E402
from tools.make_slice import DTYPES, specs  # noqa: E402

CONFIG = ROOT / "tests" / "data" / "configs" / "kimi_k2_thinking.json"
RANKS = ROOT / "tests" / "data" / "tiktoken.model"


def described() -> Source:
    """The checkpoint without its files: what its tensors are, and nothing to read them from."""
    text, hf = read_config(CONFIG)
    tensors = {
        name: SourceTensor(name, dtype, shape, CONFIG, 0, int(np.prod(shape)) * np.dtype(DTYPES[dtype]).itemsize)
        for name, dtype, shape in specs(hf)
    }
    return Source(
        path=CONFIG,
        name="sparse",
        config_text=text,
        config=config_from_hf(hf)[0],
        files=[],
        tensors=tensors,
        ranks=RANKS.read_bytes(),
    )


def write(path: Path) -> None:
    """The file. OSError: the file system has no room for it, or none of so many bytes."""
    placement = place(blueprint(described(), "q8_0"))
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.truncate(placement.size)
        file.write(placement.head)
        for tensor, offset in zip(placement.tensors, placement.offsets, strict=True):
            file.seek(offset)
            if tensor.spec.name in TOKENIZER:
                file.write(tensor.units[0].parts[0].pack())
            elif tensor.spec.name.endswith(".attn_norm.weight"):
                file.write(np.ones(tensor.spec.shape, np.float32))
            elif tensor.spec.name == HASHES:
                file.write(sha256(placement.head).digest())  # of the header, which is looked at when it is opened
    os.replace(partial, path)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    write(parser.parse_args().file)


if __name__ == "__main__":
    main()
