"""A model in stages: the tokens of one process, whatever happens to its requests."""

import os
import re
import threading
import time
from functools import partial

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.cluster.link import hang_up
from kimi_cpu.cluster.stage_loop import bytes_on_the_way
from kimi_cpu.cluster.staging import together
from kimi_cpu.conversion.parts import write_parts
from kimi_cpu.errors import ConfigError, EngineDeadError
from kimi_cpu.llm.memory import CHUNK
from kimi_cpu.plan import EXPERTS
from kimi_cpu.residency import ExpertsState, Figures

from .stages_here import staged

TEXT = "the quick brown fox jumps over the lazy dog and runs away "
PROMPTS = [TEXT * (1 + 5 * n % 7) + "x" * n for n in range(16)]
OPTIONS = {"context": 1024, "read_ahead": False}


def drawn(llm, prompts=PROMPTS, **sampling):
    """Ids of answers that run together, drawn."""
    sampling = {"max_tokens": 30, "ignore_eos": True, "temperature": 1.0} | sampling
    return [h.result().token_ids for h in [llm.submit(p, seed=n, **sampling) for n, p in enumerate(prompts)]]


@pytest.fixture(scope="module")
def whole(tiny_file):
    with kimi_cpu.load(tiny_file, threads=1, **OPTIONS) as llm:
        yield llm


@pytest.fixture(scope="module", params=[2, 3])
def llm(tiny_file, request):
    with staged(tiny_file, request.param, chunk=64, **OPTIONS) as llm:
        yield llm


def test_answers_alone_and_in_company_are_those_of_one_process(whole, llm):
    greedy = {"max_tokens": 40, "temperature": 0, "ignore_eos": True}
    assert llm.generate(TEXT, **greedy).token_ids == whole.generate(TEXT, **greedy).token_ids
    assert drawn(llm) == drawn(whole)


def test_logits_have_the_same_bits(whole, llm):
    ids = whole.tokenize(TEXT * 6)
    assert len(ids) > 2 * 64
    assert np.array_equal(llm.logits(ids).view(np.uint32), whole.logits(ids).view(np.uint32))


def test_prompts_that_begin_alike_are_computed_once(whole, llm):
    for model in (whole, llm):
        model.generate(TEXT * 8, max_tokens=1)
    ends = [TEXT * 8 + end for end in ("a", "bb", "ccc")]
    answers = [llm.generate(end, max_tokens=5, temperature=0) for end in ends]
    assert all(answer.usage.cached_tokens >= 64 for answer in answers)
    assert [a.token_ids for a in answers] == [whole.generate(e, max_tokens=5, temperature=0).token_ids for e in ends]


def test_requests_that_lose_their_pages_go_on_with_their_tokens(tiny_file, whole):
    with staged(tiny_file, 3, chunk=64, cache_memory=PAGES * page_bytes(whole), parallel=6, **OPTIONS) as llm:
        assert llm.state().num_pages == PAGES
        long = {"max_tokens": 150}
        assert drawn(llm, PROMPTS[:6], **long) == drawn(whole, PROMPTS[:6], **long)


PAGES = 17


def page_bytes(llm):
    return llm._thread.call(lambda engine: engine.cache.pages.page_bytes)


def test_sessions_are_those_of_one_process(tiny_file, tmp_path):
    files = []
    for name, load in (("whole", kimi_cpu.load), ("staged", partial(staged, count=2))):
        with load(tiny_file, **OPTIONS) as model:  # a new one: what lies behind the last token is what was there before
            session = model.session()
            model.submit(TEXT * 4, session=session, max_tokens=70, ignore_eos=True, seed=1).result()
            session.save(tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_session_of_one_process_goes_on_in_stages(tiny_file, whole, tmp_path):
    session = whole.session()
    first = whole.submit(TEXT * 4, session=session, max_tokens=70, ignore_eos=True, seed=1).result()
    session.save(tmp_path / "talk")
    ids = whole.tokenize(TEXT * 4) + list(first.token_ids) + whole.tokenize(" and then")
    expected = whole.submit(ids, session=session, max_tokens=9, temperature=0).result()
    with staged(tiny_file, 2, **OPTIONS) as llm:
        found = llm.submit(ids, session=llm.load_session(tmp_path / "talk"), max_tokens=9, temperature=0).result()
    assert found.token_ids == expected.token_ids and found.usage.cached_tokens == expected.usage.cached_tokens > 128


def test_prefixes_are_kept_on_disk_for_either(tiny_file, tmp_path):
    on_disk = {"cache_disk": 1 << 30, "cache_dir": tmp_path / "prefixes", **OPTIONS}
    with staged(tiny_file, 2, **on_disk) as llm:
        llm.generate(TEXT * 8, max_tokens=1)
    with kimi_cpu.load(tiny_file, **on_disk) as whole:
        assert whole.generate(TEXT * 8, max_tokens=1).usage.cached_tokens >= 64


def test_suspended_model_goes_on_with_its_tokens(tiny_file, whole):
    groups = []
    with staged(tiny_file, 2, groups=groups, **OPTIONS) as llm:
        handle = llm.submit(TEXT * 3, max_tokens=60, ignore_eos=True, temperature=1.0, seed=3)
        next(iter(handle))
        llm.suspend()
        for place in groups[0].places:
            assert place.actor._model.model._workspace is None
        llm.resume()
        answer = handle.result().token_ids
    assert answer == whole.generate(TEXT * 3, max_tokens=60, ignore_eos=True, temperature=1.0, seed=3).token_ids


def test_experts_of_a_stage_may_come_from_disk(tiny_file, whole):
    told, groups = [], []
    with staged(tiny_file, 2, told, groups, memory=least_of_a_half(whole), preload=False, **OPTIONS) as llm:
        assert drawn(llm, PROMPTS[:3]) == drawn(whole, PROMPTS[:3])
        state = llm.experts_state()
        parts = [place.actor._model.weights.experts() for place in groups[0].places]
    assert any("are read from disk" in sentence for sentence in told)
    assert state == together([part for part in parts if part is not None])
    assert state.num_uses > 0 and state.bytes_read > 0


def test_experts_that_are_in_memory_are_none_to_speak_of(llm):
    assert llm.experts_state() is None


def test_numbers_of_stages_are_those_of_one():
    one = ExpertsState(4, 8, 30, 20, 700, Figures(0.5, 0.7))
    other = ExpertsState(2, 8, 10, 5, 900, Figures(0.1, 0.3))
    assert together([one, other]) == ExpertsState(6, 16, 40, 25, 1600, Figures(0.4, 0.6))
    assert together([one, ExpertsState(2, 8, 0, 0, 0, None)]).recent == Figures(0.5, 0.7)


def least_of_a_half(llm):
    """Bytes with which either half of the tiny model's layers runs, but not with all of its experts."""
    from kimi_cpu.llm.memory import least_memory
    from kimi_cpu.llm.options import options_of

    file = llm._file
    least = []
    for layers in (range(0, 2), range(2, 4)):
        sizes = file.sizes(layers)
        assert any(name.endswith(EXPERTS) for name in sizes)
        least.append(least_memory(file.path, file.config.part(layers), sizes, options_of(OPTIONS)))
    return max(least) + bytes_on_the_way(file.config, CHUNK) + 4096


def test_hosts_with_parts_of_the_file_have_their_layers(tiny_file, whole, tmp_path):
    os.link(tiny_file, tmp_path / "tiny.gguf")
    parts = write_parts(tmp_path / "tiny.gguf", 3, False, None)
    with staged(tiny_file, 3, files=[parts[2], parts[0], parts[1]], **OPTIONS) as llm:
        assert drawn(llm, PROMPTS[:3]) == drawn(whole, PROMPTS[:3])
    with pytest.raises(ConfigError, match="Each needs another part"):
        staged(tiny_file, 3, files=[parts[0], parts[0], parts[1]], **OPTIONS)


class Holding:
    """Stands before a stage's layers, and lets the passes that come wait."""

    def __init__(self, model):
        self.waits, self.may_go, self.ended = threading.Event(), threading.Event(), []
        self._forward, model.forward = model.forward, self

    def __call__(self, batch, watch, hidden=None):
        self.waits.set()
        while not self.may_go.is_set() and not watch.stop[0]:
            time.sleep(0.001)
        self.ended.append(bool(watch.stop[0]))
        return self._forward(batch, watch, hidden)


def test_step_of_an_answer_that_is_cancelled_ends_within_a_layer(tiny_file, whole):
    groups = []
    with staged(tiny_file, 3, groups=groups, **OPTIONS) as llm:
        held = Holding(groups[0].places[1].actor._model.model)
        handle = llm.submit(TEXT, max_tokens=9)
        assert held.waits.wait(20)
        handle.cancel()
        assert handle.result().finish_reason == "cancelled"
        held.may_go.wait(0.1)
        held.may_go.set()
        assert (
            llm.generate(TEXT, max_tokens=9, temperature=0).token_ids
            == whole.generate(TEXT, max_tokens=9, temperature=0).token_ids
        )
    assert held.ended[0]


def test_stage_that_fails_ends_all_answers_with_its_reason(tiny_file):
    groups = []
    with staged(tiny_file, 3, groups=groups, **OPTIONS) as llm:

        def fail(batch, watch, hidden=None):
            raise MemoryError("there is none left")

        groups[0].places[1].actor._model.model.forward = fail
        with pytest.raises(EngineDeadError, match=r"Stage 2 of 3 \(\S+\) has failed: there is none left"):
            llm.generate(TEXT, max_tokens=9)
        with pytest.raises(EngineDeadError):
            llm.state()


def test_stage_that_is_lost_while_nothing_runs_ends_the_model(tiny_file):
    with staged(tiny_file, 2, **OPTIONS) as llm:
        llm.generate(TEXT, max_tokens=1)
        hang_up(llm._running._model._stages[1].connection)  # as when its process is killed
        llm._thread._thread.join(20)
        with pytest.raises(EngineDeadError, match=r"Stage 2 of 2 \(\S+\) is gone"):
            llm.state()


def test_model_hears_of_a_loss_that_was_before(tiny_file):
    told = []
    with staged(tiny_file, 2, **OPTIONS) as llm:
        model = llm._running._model
        model.lose("It is gone.")
        model.on_loss(told.append)
    assert [str(error) for error in told] == ["It is gone."]


def test_owner_hears_who_has_which_layers(tiny_file):
    told = []
    with staged(tiny_file, 2, told, **OPTIONS):
        pass
    assert [re.sub(r" \(\S+\) has layers .*", "", sentence) for sentence in told] == ["Stage 1 of 2", "Stage 2 of 2"]


def test_more_stages_than_layers_are_refused(tiny_file):
    with pytest.raises(ConfigError, match="4 layers, too few for 5 stages"):
        staged(tiny_file, 5, **OPTIONS)


def test_host_that_lacks_memory_says_so(tiny_file):
    with pytest.raises(ConfigError, match=r"Stage 1 of 2 \(\S+\): .* at least .* bytes of memory are needed"):
        staged(tiny_file, 2, memory=1 << 20, **OPTIONS)
