"""A server that keeps prompts on the disk, and is killed while it writes them."""

import contextlib
import json
import random
import signal
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from zlib import crc32

from kimi_cpu.engine.disk_store import HEAD_BYTES, MAGIC, PAGE

from ..starting import free_port, wait_until_ready
from .killing import LIMIT_S, Moment, Whole, start

PROMPTS = 12
NUMBERS = 36  # of 6 tokens: three pages and a part of a fourth, which no answer fills, so that every page is asked for


class Serve:
    """See the package."""

    def __init__(self, folder: Path, checkpoint: Path, model: Path):
        self._model, self._folder = model, folder / "whole"
        self._folder.mkdir()
        self._draw = random.Random(0)

    def whole(self) -> Whole:
        """The answers that the others are compared with."""
        with self._serving(self._folder) as (process, address):
            began = time.monotonic()
            self._answers = [ask(address, number)[0] for number in range(PROMPTS)]
            seconds = time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_S)
        return Whole(int((self._folder / "calls").read_text()), seconds)

    def case(self, folder: Path, moment: Moment) -> str:
        """Kills one; what it met. AssertionError: a promise is broken."""
        with self._serving(folder, moment.call) as (process, address):
            ends_at = time.monotonic() + moment.after_s if moment.after_s is not None else float("inf")
            with contextlib.suppress(OSError):
                for number in range(PROMPTS):
                    ask(address, number, timeout_s=min(ends_at - time.monotonic(), LIMIT_S))
            process.send_signal(signal.SIGKILL)
            process.wait(LIMIT_S)
        pages = [path for path in (folder / "cache").rglob("*") if path.is_file() and PAGE.fullmatch(path.name)]
        assert all(is_whole(page) for page in pages), "a page is torn"
        torn = self._draw.choice(pages) if pages else None
        if torn is not None:
            torn.write_bytes(torn.read_bytes()[: self._draw.randrange(torn.stat().st_size)])
        with self._serving(folder) as (process, address):
            again = [ask(address, number) for number in range(PROMPTS)]
            assert [text for text, _ in again] == self._answers, "a restart answers otherwise"
            cached = sum(tokens for _, tokens in again)
            assert cached or len(pages) < 2, "nothing was taken from the disk"
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_S)
        assert torn is None or not torn.exists() or is_whole(torn), "the torn page is still there"
        return f"{len(pages)} pages on the disk, one then torn; {cached} tokens were taken from them"

    @contextlib.contextmanager
    def _serving(self, folder: Path, call: int = 0):
        """(process, address) of a server that is ready."""
        port = free_port()
        options = [
            "-m",
            self._model,
            "-c",
            512,
            "--port",
            port,
            "--cache-disk",
            "64MiB",
            "--cache-dir",
            folder / "cache",
        ]
        process = start(folder, ["kimi-cpu", "serve", *options, "--no-read-ahead"], call)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(address, process)
            yield process, address
        finally:
            process.kill()
            process.wait()


def ask(address: str, number: int, timeout_s: float = LIMIT_S) -> tuple[str, int]:
    """(text, cached tokens) of the answer to a prompt of some pages. OSError: the server is gone."""
    if timeout_s <= 0:
        raise TimeoutError
    prompt = f"Prompt {number}: " + " ".join(f"{number * i * 7919 % 10007:05}" for i in range(NUMBERS))
    body = {"prompt": prompt, "max_tokens": 8, "temperature": 0, "ignore_eos": True}
    request = urllib.request.Request(
        f"{address}/v1/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            answer = json.load(response)
    except (ValueError, HTTPException) as e:  # half an answer
        raise ConnectionError from e
    return answer["choices"][0]["text"], answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def is_whole(page: Path) -> bool:
    """Whether a page's checksum is that of its content."""
    data = page.read_bytes()
    return data[:HEAD_BYTES] == MAGIC + crc32(data[HEAD_BYTES:]).to_bytes(4, "little")
