"""A fork of the process: one error at once that says what to do, and the parent goes on."""

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import asyncio, os, sys, threading, time
import kimi_cpu
from kimi_cpu.errors import ForkError

def in_child(work, leave=sys.exit):
    '''What work() comes to in a fork of this process, at once, and its exit code.'''
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        started = time.monotonic()
        try:
            work()
            told = "done"
        except BaseException as e:
            told = f"{type(e).__name__}: {e}"
        if time.monotonic() - started > 10:
            told = "too late: " + told
        os.write(write, told.encode())
        os.close(write)
        leave(7)  # sys.exit: as any program ends, with what is registered for its end
    os.close(write)
    with open(read, "rb") as pipe:
        told = pipe.read().decode()
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(script, *arguments):
    """Runs a script that must end by itself."""
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_that_needs_the_engine_is_refused_in_a_fork_and_the_parent_goes_on(tiny_file, tmp_path):
    run(
        """
        hello = [{"role": "user", "content": "Hello"}]
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        llm = kimi_cpu.load(sys.argv[1], cache_disk="10MiB", cache_dir=sys.argv[2])
        session = llm.session()
        llm.chat(hello, session=session, max_tokens=5)
        before = llm.generate("abc", max_tokens=5, seed=1).token_ids
        running = llm.submit(hello, max_tokens=3000, ignore_eos=True)
        finished = llm.submit("abc", max_tokens=3)
        finished.result()
        next(iter(running))

        async def wait():
            return await running

        async def follow():
            async for piece in running:
                pass

        tries = [
            lambda: llm.generate("abc"), lambda: llm.chat(hello), lambda: list(llm.stream("abc")),
            lambda: llm.chat(hello, tools=[tool]), lambda: llm.submit("abc"), lambda: llm.samples("abc", 2),
            lambda: llm.logits([1, 2]), lambda: session.save(sys.argv[2] + "/s"), lambda: llm.load_session("none"),
            lambda: llm.chat(hello, session=session), lambda: llm.state(), llm.close, running.result,
            lambda: list(running), running.answer_now, lambda: asyncio.run(wait()), lambda: asyncio.run(follow()),
            lambda: llm.create_chat_completion(hello), lambda: kimi_cpu.load(sys.argv[1]),
        ]
        for number, work in enumerate(tries):
            told, code = in_child(work, leave=os._exit)
            assert told.startswith("ForkError") and "fork" in told and "'spawn'" in told, (number, told)
            assert code == 7, (number, code)
        for work in (running.cancel, lambda: llm.tokenize("abc"), llm.__exit__, lambda: None):
            assert in_child(work) == ("done", 7)
        assert llm.generate("abc", max_tokens=5, seed=1).token_ids == before
        running.cancel()
        assert running.result().finish_reason in ("cancelled", "length")
        session.save(sys.argv[2] + "/s")
        llm.close()
        """,
        tiny_file,
        tmp_path,
    )


def test_fork_that_loads_a_model_of_its_own_is_told_so_though_the_first_is_closed(tiny_file):
    run(
        """
        from pathlib import Path
        def kernels():
            from kimi_cpu.kernels import runtime
            return runtime.context()

        kimi_cpu.load(sys.argv[1]).close()
        for work in (lambda: kimi_cpu.load(sys.argv[1]), kernels):
            told, code = in_child(work)
            assert told.startswith("ForkError") and code == 7, (told, code)
        kimi_cpu.load(sys.argv[1]).close()
        """,
        tiny_file,
    )


def test_fork_of_a_process_that_loaded_nothing_loads_its_own(tiny_file):
    run(
        """
        def work():
            with kimi_cpu.load(sys.argv[1]) as llm:
                assert llm.generate("abc", max_tokens=5).token_ids

        from kimi_cpu.kernels import runtime
        assert in_child(work) == ("done", 7)
        """,
        tiny_file,
    )


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pool_of_processes_answers_or_says_which_method_does(tiny_file, tmp_path, method):
    script = tmp_path / "pool.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys, warnings
            import kimi_cpu
            from kimi_cpu.errors import ForkError

            def answer(path):
                with kimi_cpu.load(path) as llm:
                    return llm.generate("abc", max_tokens=5, seed=1).token_ids

            if __name__ == "__main__":
                warnings.simplefilter("ignore")
                path, method = sys.argv[1:]
                here = answer(path)
                with multiprocessing.get_context(method).Pool(1) as pool:
                    try:
                        assert pool.apply(answer, (path,)) == here and method != "fork"
                    except ForkError as e:
                        assert method == "fork" and "'spawn'" in str(e)
            """
        )
    )
    done = subprocess.run([sys.executable, script, str(tiny_file), method], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
