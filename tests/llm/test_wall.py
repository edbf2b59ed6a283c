"""A fault in what steers, reads or weighs one answer, on the tiny model: an error for its caller, and nothing else."""

import threading
from itertools import pairwise

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.engine import Request
from kimi_cpu.errors import AnswerError, NonFiniteLogits, RequestError
from kimi_cpu.llm.reading import RawReader
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant.rows16 import BLOCK_BYTES, GROUP, ROWS

HELLO = [{"role": "user", "content": "Hello"}]
NAN, INFINITY = b"\xc0\x7f", b"\x80\x7f"  # BF16


def damaged(source, path, tensor, row, scale=NAN):
    """A copy of a model file with one scale, of the first group of a matrix's row, replaced."""
    data = bytearray(source.read_bytes())
    with ModelFile.open(source) as file:
        matrix, offset = file.matrix(tensor), file.tensors[tensor].offset
        assert matrix.kind == "q8"
        at = offset + row // ROWS * -(-matrix.cols // GROUP) * BLOCK_BYTES["q8"] + row % ROWS * 2
    data[at : at + 2] = scale
    path.write_bytes(data)
    return path


def is_idle(llm):
    return llm._thread.call(lambda engine: not engine.has_work)


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, read_ahead=False, context=1024) as llm:
        yield llm


@pytest.fixture(scope="module")
def half_broken(tiny_file, tmp_path_factory):
    """A model that computes NaN for what holds the letter "x"."""
    with kimi_cpu.load(tiny_file) as llm:
        token_id = llm.tokenize("x")[0]
    path = damaged(tiny_file, tmp_path_factory.mktemp("damaged") / "half.gguf", "token_embd.weight", token_id)
    with kimi_cpu.load(path, read_ahead=False, context=1024) as llm:
        yield llm


@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"top_k": 3, "top_p": 0.9}, {"logprobs": 5}])
def test_request_that_meets_nan_names_verify_and_the_others_go_on(tiny_file, half_broken, options):
    options = options | {"max_tokens": 30, "ignore_eos": True, "logit_bias": {half_broken.tokenize("x")[0]: -100}}
    with kimi_cpu.load(tiny_file) as sound:
        alone = sound.generate("abc", seed=1, **options)
    good = half_broken.submit("abc", seed=1, **options)
    with pytest.raises(NonFiniteLogits, match=f"kimi-cpu verify .*{half_broken.path.name}"):
        half_broken.generate("a" * 70 + "x", seed=1, **options)
    assert good.result().token_ids == alone.token_ids and good.result().logprobs == alone.logprobs
    assert is_idle(half_broken)


def test_nan_of_the_weights_is_told_of_by_logits(half_broken):
    with pytest.raises(NonFiniteLogits, match="kimi-cpu verify"):
        half_broken.logits(half_broken.tokenize("abxab"))
    assert np.isfinite(half_broken.logits(half_broken.tokenize("abab"))).all()


@pytest.mark.parametrize("scale", [NAN, INFINITY])
@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"max_tokens": 1}])
def test_one_damaged_row_of_the_head_ends_the_request(tiny_file, tmp_path, scale, options):
    path = damaged(tiny_file, tmp_path / "head.gguf", "output.weight", 5, scale)
    with kimi_cpu.load(path) as llm:
        for _ in range(2):
            with pytest.raises(NonFiniteLogits):
                llm.generate("abc", **options)


def test_pages_with_nan_are_not_kept_for_others(half_broken):
    prompt = "x" + "a" * 200
    for _ in range(2):
        with pytest.raises(NonFiniteLogits):
            half_broken.generate(prompt, max_tokens=2)
        request = Request(half_broken.tokenize(prompt), kimi_cpu.Sampling(), 2)
        matched = half_broken._thread.call(lambda e, r=request: e.cache.pool.match(r.tokens(0, 200)))
        assert not matched.block_ids and matched.copy_from is None


def test_penalty_that_makes_logits_infinite_is_refused_and_the_engine_lives(llm):
    with pytest.raises(RequestError, match="repeat_penalty"):
        llm.generate("abc", repeat_penalty=1e-38, max_tokens=9, ignore_eos=True, seed=1)
    assert llm.generate("abc", max_tokens=3).token_ids


class Unreadable(RawReader):
    """Raises at its fourth token, or at the end."""

    at_end = False

    def push(self, token_id, logprob=None):
        self.num_read = getattr(self, "num_read", 0) + 1
        if self.num_read == 4 and not self.at_end:
            raise ZeroDivisionError("what a strange token")
        return super().push(token_id, logprob)

    def finish(self, finish_reason):
        if self.at_end:
            raise ZeroDivisionError("what a strange end")
        return super().finish(finish_reason)


def read_by(reader, llm, **options):
    """A turn whose answers a reader of this class reads."""
    turn = llm._raw_turn("abc", options)
    turn.reader = lambda guide: reader(None, (), frozenset())
    return turn


@pytest.fixture
def unreadable(llm):
    """Begins requests whose answers cannot be read."""

    def begin(**options):
        options = {"max_tokens": 800, "ignore_eos": True, "seed": 1} | options
        return llm._begin(read_by(Unreadable, llm, **options))[0]

    return begin


def test_reader_that_raises_ends_its_own_request(llm, unreadable):
    good = llm.submit("abc", max_tokens=100, ignore_eos=True, seed=3)
    handle = unreadable()
    others = [threading.Thread(target=lambda: pytest.raises(AnswerError, handle.result)) for _ in range(3)]
    for thread in others:
        thread.start()
    with pytest.raises(AnswerError, match="ZeroDivisionError: what a strange token"):
        handle.result()
    for thread in others:
        thread.join(20)
        assert not thread.is_alive()
    assert len(good.result().token_ids) == 100
    assert is_idle(llm)


def test_reader_that_raises_at_the_end_ends_its_own_request(llm, unreadable, monkeypatch):
    monkeypatch.setattr(Unreadable, "at_end", True)
    with pytest.raises(AnswerError, match="what a strange end"):
        unreadable(max_tokens=3).result()
    with pytest.raises(AnswerError, match="what a strange end"):
        unreadable(max_tokens=0).result()
    handle = unreadable()
    next(iter(handle))
    handle.cancel()
    with pytest.raises(AnswerError, match="what a strange end"):
        handle.result()
    assert is_idle(llm)


def test_answer_to_resume_that_cannot_be_read_is_its_callers_alone(llm):
    with pytest.raises(AnswerError):
        llm._begin(read_by(Unreadable, llm, max_tokens=800), resume=[5] * 6)[0].result()
    assert is_idle(llm)


def test_ids_that_the_grammar_does_not_allow_cannot_be_resumed(llm):
    with pytest.raises(AnswerError, match="not allowed"):
        llm.submit(HELLO, response_format={"type": "json_object"}, no_think=True, resume=[5] * 40)
    assert is_idle(llm)


def test_session_that_cannot_follow_is_told_of_after_the_answer(llm, monkeypatch):
    session = llm.session()
    monkeypatch.setattr(session, "follow", lambda request, num_tokens: 1 / 0)
    pieces = []
    with pytest.raises(AnswerError, match="ZeroDivisionError"):
        for piece in llm.stream(HELLO, session=session, max_tokens=4):
            pieces.append(piece)
    assert pieces[-1].finish_reason
    assert is_idle(llm)


def test_slow_reader_does_not_keep_the_engine_waiting(llm):
    entered, leave = threading.Event(), threading.Event()

    class Slow(RawReader):
        def push(self, token_id, logprob=None):
            entered.set()
            assert leave.wait(20)
            return super().push(token_id, logprob)

    handle = llm._begin(read_by(Slow, llm, max_tokens=40, ignore_eos=True))[0]
    reading = threading.Thread(target=handle.result)
    reading.start()
    assert entered.wait(20)
    assert llm.generate("abc", max_tokens=30, ignore_eos=True).usage.completion_tokens == 30
    leave.set()
    reading.join(20)
    assert handle.result().usage.completion_tokens == 40


def test_progress_that_raises_ends_the_request(llm):
    def fail(done, total):
        raise KeyError("bar")

    with pytest.raises(KeyError, match="bar"):
        llm.generate("abc" * 300, max_tokens=50, progress=fail)
    assert is_idle(llm)


def test_pieces_of_an_answer_are_read_once_and_in_order_by_many_threads(llm):
    handle, found = llm.submit("abc", max_tokens=200, ignore_eos=True, seed=1), []
    threads = [threading.Thread(target=lambda: found.append(list(handle))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4 and all(a == b for a, b in pairwise(found))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_damaged_number_of_a_vector_or_a_router_goes_unnoticed(tiny_file, tmp_path, bad):
    path, data = tmp_path / "bad.gguf", bytearray(tiny_file.read_bytes())
    with ModelFile.open(tiny_file) as file:
        vectors = [tensor for tensor in file.tensors.values() if tensor.ggml_type == "F32"]
    for tensor in vectors:
        at = tensor.offset + tensor.nbytes // 8 * 4
        before, data[at : at + 4] = data[at : at + 4], np.float32(bad).tobytes()
        path.write_bytes(data)
        data[at : at + 4] = before
        with kimi_cpu.load(path, read_ahead=False) as llm:
            try:
                ids = llm.generate("abc", max_tokens=4, ignore_eos=True, seed=1).token_ids
            except NonFiniteLogits:
                continue
        raise AssertionError(f"{tensor.name} gave {ids}")
