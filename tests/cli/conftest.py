"""A home for the tests of the command line."""

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own, and no settings from outside."""
    for name in ("DATA", "STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("MODEL", "CONTEXT", "THREADS", "CHUNK", "KV", "COMPUTE"):
        monkeypatch.delenv(f"KIMI_CPU_{name}", raising=False)
    return tmp_path
