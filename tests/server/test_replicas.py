"""A server over engines of a cluster, one of which is killed."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

import kimi_cpu

PROMPT, NUM_STREAMS = "abc", 64
OPTIONS = {"max_tokens": 200, "ignore_eos": True}


def stream(url, seed, begun):
    """The text of a streamed completion. begun: told when its first token is there."""
    body = {"prompt": PROMPT, "stream": True, "seed": seed, **OPTIONS}
    text = ""
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                event = json.loads(line[6:])
                assert "error" not in event, event
                text += event["choices"][0]["text"]
                begun.release()
    return text


def test_engine_that_is_killed_costs_no_stream_a_token_and_is_replaced(replicas, tiny_file):
    with kimi_cpu.load(tiny_file, context=4096, parallel=NUM_STREAMS) as llm:
        handles = [llm.submit(PROMPT, seed=seed, **OPTIONS) for seed in range(NUM_STREAMS)]
        expected = [handle.result().text for handle in handles]
    begun = [threading.Semaphore(0) for _ in range(NUM_STREAMS)]
    with ThreadPoolExecutor(NUM_STREAMS) as threads:
        streams = [threads.submit(stream, replicas.url, seed, begun[seed]) for seed in range(NUM_STREAMS)]
        for first in begun:
            first.acquire()
        killed, survivor = replicas.engines()
        num_running = sum(not one.done() for one in streams)
        killed.kill()
        assert [one.result() for one in streams] == expected
    assert num_running == NUM_STREAMS and "its requests go on elsewhere" in replicas.log.read_text()
    answer = replicas.http.post("/v1/completions", json={"prompt": PROMPT, "seed": 0, **OPTIONS}).json()
    assert answer["choices"][0]["text"] == expected[0]
    replicas.wait_for_engines()
    assert survivor in replicas.engines()
    metrics = replicas.http.get("/metrics").text
    assert metrics.count("kimi_cpu:replica_up{") == metrics.count('"} 1.0', metrics.index("kimi_cpu:replica_up{")) == 2
