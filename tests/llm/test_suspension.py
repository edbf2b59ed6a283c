"""A model that gives its memory back and takes it again: the same tokens, and sessions as they were."""

import gc
import threading
import time

import pytest

import kimi_cpu
from kimi_cpu.errors import EngineDeadError, ModelFileError, OutOfDisk, SuspendedError
from tests.llm.test_memory import OPTIONS, PROMPTS, answers, expected, least, path  # noqa: F401
from tests.residency.test_experts import private_bytes

SAMPLED = {"max_tokens": 12, "ignore_eos": True, "temperature": 1.0, "seed": 3}


@pytest.mark.parametrize("is_mapped", [True, False])
def test_requests_that_run_go_on_with_the_same_tokens(path, expected, is_mapped):  # noqa: F811
    options = {} if is_mapped else {"memory": least(path, **OPTIONS) + (2 << 20)}
    with kimi_cpu.load(path, **OPTIONS, **options) as llm:
        running = [llm.submit(prompt, max_tokens=30, ignore_eos=True, temperature=1.0, seed=7) for prompt in PROMPTS]
        for count in (1, 5, 20):
            pieces = iter(running[0])
            for _ in range(count):
                next(pieces)
            llm.suspend()
            assert llm.is_suspended
            llm.resume()
        assert [handle.result().token_ids for handle in running] == expected
        assert not llm.is_suspended and answers(llm) == expected


def test_requests_that_come_meanwhile_wait_and_can_be_cancelled(path):  # noqa: F811
    with kimi_cpu.load(path, **OPTIONS) as llm:
        alone = llm.generate(PROMPTS[0], **SAMPLED).token_ids
        llm.suspend()
        llm.suspend()
        waiting, cancelled = llm.submit(PROMPTS[0], **SAMPLED), llm.submit(PROMPTS[1], **SAMPLED)
        cancelled.cancel()
        assert cancelled.result().finish_reason == "cancelled" and not waiting.ready(0)
        llm.resume()
        assert waiting.result().token_ids == alone
        llm.resume()
        llm.suspend()
    with pytest.raises(EngineDeadError):
        llm.resume()


def test_a_session_is_the_same_after_it(path, tmp_path):  # noqa: F811
    with kimi_cpu.load(path, memory=least(path, context=1024), context=1024) as llm:
        session = llm.session()
        llm.submit(PROMPTS[1], session=session, max_tokens=70, ignore_eos=True, seed=1).result()
        session.save(tmp_path / "before")
        llm.suspend()
        with pytest.raises(SuspendedError, match=r"resume\(\)"):
            session.save(tmp_path / "during")
        llm.resume()
        session.save(tmp_path / "after")
        assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
        assert llm.load_session(tmp_path / "after").num_tokens == session.num_tokens > 128
        recalled = []
        llm._running._weights.residency.recall = recalled.append
        llm.load_session(tmp_path / "after")
        assert len(recalled[0]) == 2 * 3 * 32, "the heat of all experts"


def test_memory_is_the_system_s_meanwhile(path):  # noqa: F811
    with kimi_cpu.load(
        path, **OPTIONS | {"chunk": 512}, memory=least(path, **OPTIONS | {"chunk": 512}) + (9 << 20)
    ) as llm:
        answers(llm)
        gc.collect()  # what other tests have left
        before = private_bytes()
        llm.suspend()
        remaining = private_bytes()
        assert before - remaining > llm.needs.dense + (8 << 20), "weights and experts, and activations besides"
        llm.resume()
        assert private_bytes() - remaining > llm.needs.dense


def test_a_step_that_takes_long_is_ended(path):  # noqa: F811
    with kimi_cpu.load(path, memory=least(path, **OPTIONS), **OPTIONS) as llm:
        residency, gate = llm._running._weights.residency, threading.Event()
        arrivals = residency.arrivals

        def slowly(layer, dispatch, stop):
            gate.set()
            while not stop[0]:
                time.sleep(0.001)
            return arrivals(layer, dispatch, stop)

        residency.arrivals = slowly
        handle = llm.submit(PROMPTS[1], **SAMPLED)
        gate.wait()
        llm.suspend()
        residency.arrivals = arrivals
        assert not handle.ready(0)
        llm.resume()
        found = handle.result().token_ids
    with kimi_cpu.load(path, **OPTIONS) as llm:
        assert llm.generate(PROMPTS[1], **SAMPLED).token_ids == found


def test_a_cache_that_cannot_be_written_leaves_the_model_running(path, monkeypatch):  # noqa: F811
    with kimi_cpu.load(path, **OPTIONS) as llm:
        alone = llm.generate(PROMPTS[0], **SAMPLED).token_ids
        monkeypatch.setattr(
            "os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        with pytest.raises(OutOfDisk, match="No space left on device"):
            llm.suspend()
        monkeypatch.undo()
        assert not llm.is_suspended and llm.generate(PROMPTS[0], **SAMPLED).token_ids == alone


def test_weights_that_cannot_be_read_again_leave_it_suspended(path, tmp_path):  # noqa: F811
    copy, whole = tmp_path / "cut.gguf", path.read_bytes()
    copy.write_bytes(whole)
    with kimi_cpu.load(copy, memory=least(path, **OPTIONS), **OPTIONS) as llm:
        alone = llm.generate(PROMPTS[0], **SAMPLED).token_ids
        llm.suspend()
        with copy.open("r+b") as file:
            file.truncate(len(whole) // 4)
        with pytest.raises(ModelFileError, match=r"cut\.gguf ends at byte"):
            llm.resume()
        assert llm.is_suspended
        copy.write_bytes(whole)
        llm.resume()
        assert llm.generate(PROMPTS[0], **SAMPLED).token_ids == alone


@pytest.fixture
def spare(monkeypatch):
    """Bytes that may be taken, [one number]; looked at every 10 ms."""
    spare = [1 << 40]
    monkeypatch.setattr("kimi_cpu.llm.pressure.LOOK_S", 0.01)
    monkeypatch.setattr("kimi_cpu.llm.pressure.spare_memory", lambda: spare[0])
    monkeypatch.setattr("kimi_cpu.residency.budget.REGROW_S", 0.0)
    return spare


def wait_until(is_so):
    while not is_so():
        time.sleep(0.005)


def test_experts_leave_while_memory_is_short(path, expected, spare):  # noqa: F811
    told = []
    with kimi_cpu.load(path, memory=least(path, **OPTIONS) + (4 << 20), on_pressure=told.append, **OPTIONS) as llm:
        assert answers(llm) == expected
        slots = llm._running._weights.residency.slots
        most, taken = slots.num_open, slots.num_touched
        spare[0] = -5 * llm.needs.expert
        wait_until(lambda: slots.num_open < most)
        spare[0] = 0
        assert 8 <= slots.num_touched <= slots.num_open <= max(8, taken - 5)
        assert answers(llm) == expected and (slots.num_open > 8 or told)
        spare[0] = 1 << 40
        wait_until(lambda: slots.num_open == most)
        assert answers(llm) == expected


def test_a_program_is_told_when_memory_is_short_and_may_suspend_the_model(path, spare):  # noqa: F811
    told = []

    def on_pressure(missing):
        told.append(missing)
        llm.suspend()

    with kimi_cpu.load(path, on_pressure=on_pressure, **OPTIONS) as llm:
        alone = llm.generate(PROMPTS[0], **SAMPLED).token_ids
        assert not told
        spare[0] = -5000
        wait_until(lambda: llm.is_suspended)
        assert told == [5000]
        spare[0] = 1 << 40
        llm.resume()
        assert llm.generate(PROMPTS[0], **SAMPLED).token_ids == alone
