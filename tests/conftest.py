"""Fixtures that several rooms share: a tiny checkpoint, and the files made from it."""

import signal
from pathlib import Path

import pytest

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the commands of the tests would ignore it as well

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Path:
    """A checkpoint in Kimi K2's format with a tokenizer of single bytes."""
    return DATA / "tiny" / "base"


@pytest.fixture(scope="session")
def tiny_exact(tiny_checkpoint, tmp_path_factory) -> Path:
    """Its native file with BF16 matrices."""
    from kimi_cpu import convert

    path = tmp_path_factory.mktemp("exact") / "tiny.gguf"
    convert(tiny_checkpoint, path, dense="bf16")
    return path


@pytest.fixture(scope="session")
def kernels_ready() -> None:
    """No command has to compile any, or says so."""
    from kimi_cpu.kernels import runtime

    if not runtime.compiled():
        runtime.warmup()


@pytest.fixture(scope="session")
def tiny_file(tiny_checkpoint, tmp_path_factory, kernels_ready) -> Path:
    """Its native file as `kimi-cpu convert` makes it by default."""
    from kimi_cpu import convert

    path = tmp_path_factory.mktemp("default") / "tiny.gguf"
    convert(tiny_checkpoint, path)
    return path
