"""What a token costs besides the model's step: scheduler, sampling, detokenising, JSON, HTTP, in CPU time.

    python benchmarks/serve_overhead.py MODEL [-n 1000] [--write]

The model runs on one thread, so that all of the process's CPU time that is not the forward pass is overhead; CPU time
does not depend on what else the machine does. The client is another process.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from machine import card, put_part

import kimi_cpu
from kimi_cpu.server import Settings, bind
from kimi_cpu.server.app import run

RESULTS = Path(__file__).with_name("results-serve.md")


class Timed:
    """A model that adds up the CPU time of its forward passes."""

    def __init__(self, model):
        self._model, self.max_tokens, self.seconds = model, model.max_tokens, 0.0

    def submit(self, *arguments):
        """See engine.Model."""
        started_s = time.thread_time()
        try:
            return self._model.submit(*arguments)
        finally:
            self.seconds += time.thread_time() - started_s


def measure(llm, url: str, path: str, body: dict, num_tokens: int) -> str:
    """One request by curl; a row of the table."""
    model = llm._thread._engine.model
    request = [
        "curl",
        "-sN",
        "-o",
        "/dev/null",
        "-H",
        "Content-Type: application/json",
        "-d",
        json.dumps(body),
        url + path,
    ]
    cpu_s, model_s = time.process_time(), model.seconds
    subprocess.run(request, check=True)
    cpu_s, model_s = time.process_time() - cpu_s, model.seconds - model_s
    return f"| {path} | {1e3 * model_s / num_tokens:.3f} | {1e3 * (cpu_s - model_s) / num_tokens:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-n", type=int, default=1000, help="tokens of an answer")
    parser.add_argument("--write", action="store_true", help="put the figures into results-serve.md")
    options = parser.parse_args()
    llm = kimi_cpu.load(options.model, threads=1, context=4096, speculate=False, read_ahead=False)
    llm._thread._engine.model = Timed(llm._thread._engine.model)
    listener = bind(Settings(port=0))
    stop: list = []

    async def serve() -> None:
        stop.extend([asyncio.get_running_loop(), asyncio.Event()])
        await run(lambda: llm, Settings(), listener, stop[1])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    common = {"max_tokens": options.n, "stream": True, "ignore_eos": True, "temperature": 0}
    rows = {
        "/v1/completions": {"prompt": "abc"},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "abc"}]},
    }
    time.sleep(1)
    for path, body in rows.items():  # caches fill
        measure(llm, url, path, body | common, options.n)
    text = [
        "benchmarks/serve_overhead.py, CPU time.",
        "",
        *card(("numpy", "numba", "fastapi", "uvicorn")),
        f"{Path(options.model).name}, {options.n} tokens an answer.",
        "",
        "| request | model, ms a token | all else, ms a token |",
        "|---|---|---|",
        *(measure(llm, url, path, body | common, options.n) for path, body in rows.items()),
    ]
    print("\n".join(text))
    if options.write:
        put_part(RESULTS, "The server", "What a token costs besides the model", text)
    stop[0].call_soon_threadsafe(stop[1].set)
    thread.join()


if __name__ == "__main__":
    sys.exit(main())
