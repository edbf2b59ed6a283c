"""A sample of tools/kills: what is killed with -9 keeps its promises."""

import pytest

from tools.kills.__main__ import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_killed_keeps_its_promises(kind, tiny_checkpoint, tiny_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tools.kills.agent.STEPS", 5)  # of 50, which take long
    told = []
    broken = run(kind, tmp_path, tiny_checkpoint, tiny_file, 2, 1, lambda line, flush: told.append(line))
    assert not broken, "\n".join(told)
