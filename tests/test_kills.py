"""A sample of tools/kills: what is killed with -9 keeps its promises."""

import pytest

from tools.kills.__main__ import KINDS, run

FEWER = {"batch.REQUESTS": 20, "session.SAVES": 10, "serve.PROMPTS": 6, "agent.STEPS": 5}  # by hand it is more of them


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_killed_keeps_its_promises(kind, tiny_checkpoint, tiny_file, tmp_path, monkeypatch):
    for name, count in FEWER.items():
        monkeypatch.setattr(f"tools.kills.{name}", count)
    told = []
    broken = run(kind, tmp_path, tiny_checkpoint, tiny_file, 2, 1, lambda line, flush: told.append(line))
    assert not broken, "\n".join(told)
