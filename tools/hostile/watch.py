"""Ordinary clients and a prober: what others notice while hostile requests are sent."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

QUESTIONS = [f"What is {a} + {b}?" for a, b in ((17, 25), (31, 8), (4, 77), (60, 12))]
PROBE_S, SLOW_S = 0.1, 0.3
PATIENCE_S = 60.0


@dataclass
class Seen:
    """What the ordinary clients saw. first_s, whole_s: seconds to a request's first event with text and to its end;
    health_s: seconds of each probe; waits: when each slow probe began and what it took; failures: what went wrong, in
    words."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # question -> its answer, always the same


@contextmanager
def watching(url: str, expected: dict[str, str]):
    """Four clients chat without a pause, and one asks /health, until the block ends; yields what they see."""
    seen, ended = Seen(answers=dict(expected)), threading.Event()
    threads = [threading.Thread(target=_chat, args=(url, question, seen, ended)) for question in QUESTIONS]
    threads.append(threading.Thread(target=_probe, args=(url, seen, ended)))
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _chat(url: str, question: str, seen: Seen, ended: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        while not ended.is_set():
            try:
                answer, first_s, whole_s = _ask(client, question)
            except (httpx.HTTPError, ValueError, KeyError) as e:
                seen.failures.append(f"{question} {e!r}"[:300])
                time.sleep(0.5)
                continue
            seen.first_s.append(first_s)
            seen.whole_s.append(whole_s)
            if answer != seen.answers.setdefault(question, answer):
                seen.failures.append(
                    f"{question} was answered with {answer!r} instead of {seen.answers[question]!r}"[:300]
                )


def _ask(client: httpx.Client, question: str) -> tuple[str, float, float]:
    """The answer to a question as it streams; seconds to its first piece of text and to its end."""
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 64, "stream": True}
    started_s, first_s, texts = time.perf_counter(), None, []
    with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}: {response.read()[:200]!r}")
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                raise ValueError(str(chunk["error"]))
            delta = chunk["choices"][0]["delta"] if chunk["choices"] else {}
            text = delta.get("reasoning_content") or delta.get("content")
            if text:
                first_s = first_s or time.perf_counter() - started_s
                texts.append(text)
    if first_s is None:
        raise ValueError("the answer has no text")
    return "".join(texts), first_s, time.perf_counter() - started_s


def _probe(url: str, seen: Seen, ended: threading.Event) -> None:
    """Asks for /health on a new connection each time, as a load balancer does."""
    while not ended.wait(PROBE_S):
        began_s, started_s = time.monotonic(), time.perf_counter()
        try:
            status = httpx.get(f"{url}/health", timeout=PATIENCE_S).status_code
        except httpx.HTTPError as e:
            seen.failures.append(f"/health: {e!r}")
            continue
        seen.health_s.append(time.perf_counter() - started_s)
        if seen.health_s[-1] > SLOW_S:
            seen.waits.append((began_s, seen.health_s[-1]))
        if status != 200:
            seen.failures.append(f"/health: {status}")
