"""Weights are spread over memory nodes when there are several, and one sentence says so."""

import pytest

import kimi_cpu
from kimi_cpu.errors import ConfigError
from kimi_cpu.machine.numa import DEFAULT, INTERLEAVE, _policy
from tests.machine.test_numa import works


@pytest.mark.skipif(not works(), reason="needs set_mempolicy, and no policy of numactl's")
def test_a_machine_with_several_nodes_is_told_unless_it_is_off(tiny_file, monkeypatch):
    monkeypatch.setattr("kimi_cpu.llm.loading.several_nodes", lambda: [0])
    seen = []
    with kimi_cpu.load(tiny_file, context=64, progress=lambda *told: seen.append(_policy())) as llm:
        assert llm.notices == (
            "The weights are spread over memory nodes 0; numa=off leaves them where they are first read.",
        )
        assert seen[0] == INTERLEAVE and llm._thread.call(lambda engine: _policy()) == INTERLEAVE
    assert _policy() == DEFAULT
    with kimi_cpu.load(tiny_file, context=64, numa="off") as llm:
        assert llm.notices == () and llm._thread.call(lambda engine: _policy()) == DEFAULT
    monkeypatch.setattr("kimi_cpu.llm.loading.several_nodes", lambda: [900])
    with kimi_cpu.load(tiny_file, context=64) as llm:
        (notice,) = llm.notices
        assert notice.startswith("The weights cannot be spread over memory nodes 900 (")


def test_another_word_is_refused(tiny_file):
    with pytest.raises(ConfigError, match="numa is 'on'; it must be one of interleave, off"):
        kimi_cpu.load(tiny_file, numa="on")
