"""Handles of requests: iterated, awaited and cancelled, from threads and from event loops."""

import asyncio
import gc
import queue
import subprocess
import sys
import threading
import time

import pytest

import kimi_cpu
from kimi_cpu.errors import EngineDeadError
from kimi_cpu.kernels import runtime

HELLO = [{"role": "user", "content": "Hello"}]
LONG = {"max_tokens": 4000, "ignore_eos": True, "seed": 1}


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, read_ahead=False) as llm:
        yield llm


def is_idle(llm):
    """Whether the engine holds no request; what was sent before has been seen then."""
    return llm._thread.call(lambda engine: not engine.has_work)


def test_a_handle_gives_what_chat_and_generate_give(llm):
    chat = llm.submit(HELLO, max_tokens=20, seed=5)
    raw = llm.submit("abc", max_tokens=20, seed=5)
    assert chat.result().message() == llm.chat(HELLO, max_tokens=20, seed=5).message()
    assert raw.result().text == llm.generate("abc", max_tokens=20, seed=5).text
    assert "".join(p.content for p in raw) == raw.result().text  # again, from its beginning


def test_cancelled_answer_ends_at_once_and_keeps_what_there_was(llm):
    handle = llm.submit("abc", **LONG)
    pieces = []
    for piece in handle:
        pieces.append(piece)
        if len(pieces) == 5:
            handle.cancel()
    assert pieces[-1].finish_reason == handle.result().finish_reason == "cancelled"
    assert 5 <= len(handle.result().token_ids) < 100
    assert handle.result().usage.completion_tokens == len(handle.result().token_ids)
    assert is_idle(llm)


def test_cancelling_from_another_thread_wakes_the_one_that_waits(llm):
    handle, found = llm.submit("abc", **LONG), []
    thread = threading.Thread(target=lambda: found.append(handle.result()))
    thread.start()
    next(iter(handle))
    handle.cancel()
    thread.join(20)
    assert found[0].finish_reason == "cancelled"


def test_dropped_handle_is_a_cancelled_one(llm):
    handle = llm.submit("abc", **LONG)
    next(iter(handle))
    assert not is_idle(llm)
    del handle
    gc.collect()
    assert is_idle(llm)


def test_answer_now_ends_the_thinking(llm):
    names = llm.tokenizer.special_tokens
    never = {token_id: -100 for name, token_id in names.items() if name != "<think>"}
    handle = llm.submit(HELLO, resume=[names["<think>"]], logit_bias=never, max_tokens=2000, ignore_eos=True, seed=2)
    for number, piece in enumerate(handle):
        if number == 5:
            handle.answer_now()
        if piece.content:
            break
    handle.cancel()
    turn = handle.result()
    assert turn.reasoning_content.endswith("will answer now.") and turn.content
    assert turn.usage.reasoning_tokens < 1000


def test_many_handles_are_awaited_in_one_loop_without_threads(llm):
    async def stream(handle):
        return [piece async for piece in handle]

    async def ask():
        handles = [llm.submit(f"prompt {n}", max_tokens=6, seed=n, ignore_eos=True) for n in range(64)]
        threads = threading.active_count()
        tasks = [asyncio.create_task(stream(h)) for h in handles]
        whole = [await h for h in handles]
        assert threading.active_count() == threads
        return whole, [await t for t in tasks]

    whole, streamed = asyncio.run(asyncio.wait_for(ask(), 60))
    assert [w.text for w in whole] == ["".join(p.content for p in s) for s in streamed]
    assert whole[7].text == llm.generate("prompt 7", max_tokens=6, seed=7, ignore_eos=True).text


def test_many_handles_are_followed_by_one_thread_that_never_waits_for_one(llm):
    handles = [llm.submit("abc", max_tokens=12, seed=seed) for seed in range(8)]
    news, found, num_open = queue.SimpleQueue(), [[] for _ in handles], len(handles)
    for number, handle in enumerate(handles):
        handle.listen(lambda number=number: news.put(number))
    while num_open:
        number = news.get(timeout=60)
        more = handles[number].ready(len(found[number]))
        found[number] += more
        num_open -= any(piece.finish_reason is not None for piece in more)
    assert ["".join(piece.content for piece in pieces) for pieces in found] == [
        llm.generate("abc", max_tokens=12, seed=seed).text for seed in range(8)
    ]


def test_cancelled_task_cancels_its_request(llm):
    async def ask():
        handle = llm.submit("abc", **LONG)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handle, 0.05)
        return await handle

    assert asyncio.run(ask()).finish_reason == "cancelled"
    assert is_idle(llm)


def test_closing_the_model_is_heard_of_by_everyone_at_once(tiny_file):
    llm = kimi_cpu.load(tiny_file)
    handles = [llm.submit("abc", **LONG) for _ in range(4)]
    errors = []

    def wait(handle):
        try:
            handle.result()
        except EngineDeadError as e:
            errors.append(e)

    threads = [threading.Thread(target=wait, args=(h,)) for h in handles]
    for thread in threads:
        thread.start()

    async def wait_async():
        with pytest.raises(EngineDeadError, match="closed"):
            await handles[0]

    next(iter(handles[1]))
    closer = threading.Thread(target=llm.close)
    closer.start()
    asyncio.run(wait_async())
    for thread in [*threads, closer]:
        thread.join(20)
    assert len(errors) == 4
    with pytest.raises(EngineDeadError, match="closed"):
        while True:  # behind the pieces that came before
            assert handles[2].ready(len(handles[2].ready(0)))
    with pytest.raises(EngineDeadError, match="closed"):
        llm.generate("abc")


def test_two_models_live_in_one_process_and_one_closes_while_the_other_runs(tiny_file, tiny_exact):
    with kimi_cpu.load(tiny_exact) as other:
        alone = other.generate("abc", max_tokens=200, ignore_eos=True, seed=1).token_ids
        with kimi_cpu.load(tiny_file) as first:
            running = first.submit("abc", **LONG)
            next(iter(running))
            handle = other.submit("abc", max_tokens=200, ignore_eos=True, seed=1)
        assert handle.result().token_ids == alone


def test_model_that_nobody_holds_is_closed(tiny_file):
    before = threading.active_count()
    handle = kimi_cpu.load(tiny_file).submit("abc", max_tokens=5, ignore_eos=True)  # the handle holds it
    assert len(handle.result().token_ids) == 5
    del handle
    gc.collect()
    assert threading.active_count() == before


def test_interpreter_ends_cleanly_while_a_generation_runs(tiny_file):
    code = (
        "import kimi_cpu, sys\n"
        "llm = kimi_cpu.load(sys.argv[1])\n"
        "handle = llm.submit('abc', max_tokens=4000, ignore_eos=True)\n"
        "next(iter(handle))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tiny_file], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_threads_that_submit_cancel_and_close(tiny_file):
    llm = kimi_cpu.load(tiny_file, parallel=4)
    expected = {n: llm.generate(f"p{n}", max_tokens=10, seed=n, ignore_eos=True).token_ids for n in range(8)}
    start, wrong, done = threading.Barrier(8), [], []

    def work(n):
        start.wait()
        try:
            for turn in range(6):
                handle = llm.submit(f"p{n}", max_tokens=10, seed=n, ignore_eos=True)
                if (n + turn) % 3 == 0:
                    handle.cancel()
                    if handle.result().finish_reason not in ("cancelled", "length"):
                        wrong.append(handle.result())
                elif handle.result().token_ids != expected[n]:
                    wrong.append(handle.result())
                done.append(n)
                if n == 7 and turn == 4:
                    llm.close()
        except EngineDeadError:
            return
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    llm.close()
    assert not wrong and len(done) >= 5


def test_loading_tells_of_its_steps_and_may_be_given_up(tiny_file):
    seen = []
    kimi_cpu.load(tiny_file, progress=lambda *at: seen.append(at)).close()
    size = tiny_file.stat().st_size
    assert seen[0] == (size, size)  # it is read, then kernels are made ready
    total = seen[1][1]
    assert seen[1:] == [(n, total) for n in range(total + 1)]
    before = threading.active_count()

    def give_up(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kimi_cpu.load(tiny_file, progress=give_up)
    assert threading.active_count() == before


def test_loading_makes_kernels_ready_that_were_never_compiled(tiny_file, monkeypatch):
    asked = []
    monkeypatch.setattr(runtime, "warmup", asked.append)
    kimi_cpu.load(tiny_file).close()
    assert not asked
    monkeypatch.setattr(runtime, "compiled", lambda: False)
    kimi_cpu.load(tiny_file).close()
    assert asked == [None]


def test_progress_is_told_while_a_prompt_is_read(tiny_file):
    seen = []
    with kimi_cpu.load(tiny_file, chunk=32) as llm:
        llm.generate("x" * 80, max_tokens=2, progress=lambda *at: seen.append(at))
    assert {(32, 80), (64, 80)} <= set(seen) and seen == sorted(seen)  # and more on a busy machine


def test_nothing_waits_while_nothing_is_asked(llm):
    assert is_idle(llm)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_progress_of_a_prompt_moves_within_a_step(llm):
    num_layers, calls = llm.config.num_hidden_layers, []
    clock = iter(range(10**9))
    llm._thread.call(lambda engine: setattr(engine, "clock", lambda: float(next(clock))))  # each layer takes seconds
    try:
        llm.generate("a prompt of one step", max_tokens=2, progress=lambda done, total: calls.append((done, total)))
    finally:
        llm._thread.call(lambda engine: setattr(engine, "clock", time.perf_counter))
    assert calls == [(20 * done // num_layers, 20) for done in range(1, num_layers)]
