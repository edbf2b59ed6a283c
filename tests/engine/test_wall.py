"""What is raised on behalf of one request ends that request, and nothing else changes."""

import queue

import numpy as np
import pytest

from kimi_cpu.engine import Engine, EngineThread
from kimi_cpu.errors import AnswerError, EngineDeadError, ModelFileError, RequestError

from .fake import VOCAB, FakeModel, Guesses, expected, greedy
from .test_thread import drain, submit


class Panic(BaseException):
    """As a native library's."""


class Guide:
    """Allows everything, until one of its methods raises at a token."""

    def __init__(self, method, error, at=3):
        self._method, self._error, self._at, self._num_tokens = method, error, at, 0

    def _maybe(self, method):
        if method == self._method and self._num_tokens >= self._at:
            raise self._error

    def mask(self):
        self._maybe("mask")
        return np.zeros(VOCAB, bool) if self._method == "nothing" and self._num_tokens >= self._at else None

    def forced(self):
        self._maybe("forced")
        return VOCAB + 5 if self._method == "outside" and self._num_tokens >= self._at else None

    def accept(self, token_id):
        self._num_tokens += 1
        self._maybe("accept")


class BrokenGuesses(Guesses):
    """Raises for one request."""

    def propose(self, request, num_rows, limit):
        if request.guide is not None:
            raise IndexError("no such n-gram")
        return super().propose(request, num_rows, limit)


def running(num_pages=20, speculation=None):
    engine = Engine(FakeModel(16, num_pages), max_running=3, speculation=speculation)
    return engine, EngineThread(engine)


def beside_another(bad, speculation=None):
    """The error of a request that runs beside two good ones; whose answers are right, and whose pages are freed."""
    engine, thread = running(speculation=speculation)
    prompts = [list(range(2, 90)), [7, 8]]
    good = [submit(thread, greedy(prompt, 100)) for prompt in prompts]
    outbox = submit(thread, bad)
    with pytest.raises(BaseException) as caught:
        drain(outbox)
    assert [drain(one) for one in good] == [expected(prompt, 100) for prompt in prompts]
    assert drain(submit(thread, greedy([3, 4], 5))) == expected([3, 4], 5)
    assert thread.call(lambda engine: engine.state)[:2] == (0, 0) and engine.state.num_free_pages == 20
    assert outbox.empty()
    thread.close()
    return caught.value


@pytest.mark.parametrize("speculation", [None, Guesses(3)])
@pytest.mark.parametrize("error", [ValueError("no"), RecursionError(), Panic("native"), SystemExit(3)])
@pytest.mark.parametrize("method", ["mask", "forced", "accept"])
def test_guide_that_raises_ends_its_own_request(method, error, speculation):
    told = beside_another(greedy([5] * 40, 90, guide=Guide(method, error)), speculation)
    assert isinstance(told, AnswerError) and type(error).__name__ in str(told) and told.__cause__ is error


@pytest.mark.parametrize("method", ["nothing", "outside"])
def test_guide_that_allows_no_token_of_the_vocabulary_ends_its_own_request(method):
    assert isinstance(beside_another(greedy([5] * 40, 90, guide=Guide(method, None))), AnswerError)


def test_error_that_is_meant_for_people_comes_as_it_is():
    error = RequestError("response_format.schema: no text can satisfy it.")
    assert beside_another(greedy([5] * 40, 90, guide=Guide("mask", error, at=0))) is error


def test_error_of_one_request_is_short():
    assert len(str(beside_another(greedy([5], 9, guide=Guide("mask", ValueError("x" * 10**6)))))) < 500


def test_fault_in_drafting_ends_one_request():
    told = beside_another(greedy([5, 6], 90, guide=Guide(None, None)), BrokenGuesses(3))
    assert "no such n-gram" in str(told)


def test_steering_that_raises_ends_the_request_that_is_steered():
    engine, thread = running()
    bad, good = greedy([5, 6], 900), greedy([7, 8], 300)
    bad_outbox, outbox = submit(thread, bad), submit(thread, good)

    def fail(request):
        raise KeyError(int(request.prompt_ids[0]))

    thread.steer(bad, fail)
    with pytest.raises(AnswerError, match="KeyError: 5"):
        drain(bad_outbox)
    thread.steer(bad, fail)  # which is over
    assert drain(outbox) == expected([7, 8], 300)
    assert engine.state.num_free_pages == 20
    thread.close()


def test_outbox_that_takes_nothing_ends_its_request():
    class Broken(queue.SimpleQueue):
        def put(self, item):
            raise RuntimeError("full")

    engine, thread = running()
    thread.submit(greedy([5, 6], 10**5), Broken())
    assert drain(submit(thread, greedy([7, 8], 30))) == expected([7, 8], 30)
    assert thread.call(lambda engine: engine.state)[:2] == (0, 0)
    thread.close()


def test_call_that_panics_is_its_callers():
    def fail(engine):
        raise Panic("native")

    _, thread = running()
    with pytest.raises(Panic):
        thread.call(fail)
    assert drain(submit(thread, greedy([7, 8], 30))) == expected([7, 8], 30)
    thread.close()


def test_weights_that_cannot_be_read_end_the_requests_of_that_step_and_the_engine_lives():
    class Failing(FakeModel):
        """As with a file that is cut short where the weights of token 66 are."""

        def forward(self, batch, watch):
            if 66 in batch.token_ids:
                raise ModelFileError("k2.gguf ends too early")
            return super().forward(batch, watch)

    engine = Engine(Failing(16, 20), max_running=3)
    thread = EngineThread(engine)
    assert drain(submit(thread, greedy([7, 8], 30))) == expected([7, 8], 30)
    with pytest.raises(ModelFileError, match="ends too early"):
        drain(submit(thread, greedy([5] * 40 + [66] * 3, 5)))
    assert drain(submit(thread, greedy([5] * 40, 30))) == expected([5] * 40, 30)
    assert thread.call(lambda engine: engine.state)[:2] == (0, 0) and engine.state.num_free_pages == 20
    thread.close()


def test_every_request_hears_of_a_dead_engine_though_one_outbox_is_broken():
    class Broken(queue.SimpleQueue):
        def put(self, item):
            raise RuntimeError("full")

    class Dying(FakeModel):
        def forward(self, batch, watch):
            if len(batch.seq_lens) > 1:
                raise MemoryError
            return super().forward(batch, watch)

    thread = EngineThread(Engine(Dying(16, 20), max_running=3))
    thread.submit(greedy([5] * 40, 5), Broken())
    outbox = submit(thread, greedy([7] * 40, 30))
    with pytest.raises(EngineDeadError):
        drain(outbox)
    thread.close()
