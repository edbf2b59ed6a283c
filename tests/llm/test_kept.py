"""A chat that was answered, in memory: its ids, and nothing of the request that has ended."""

import gc
import tracemalloc

import kimi_cpu

from .test_llm import wait_until_idle

LENGTH = 3900  # tokens of a prompt


def test_chat_that_was_answered_keeps_few_bytes_a_token(tiny_file):
    """9 for the next prompt and the session, 12 so that its pages are found, and what does not grow with it."""
    with kimi_cpu.load(tiny_file, context=4096, parallel=1) as llm:

        def ask(text):
            session = llm.session()
            llm.chat([{"role": "user", "content": text}], session=session, max_tokens=8, seed=1)
            wait_until_idle(llm)
            gc.collect()
            return session

        ask("a" * LENGTH)  # buffers have their size then
        text = "b" * LENGTH
        tracemalloc.start()
        try:
            session = ask(text)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert session.num_tokens > LENGTH
    assert kept < 30 * LENGTH
