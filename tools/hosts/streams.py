"""python -m tools.hosts.streams URL KEY ENGINES IN.jsonl: asks a server for the chats of a batch, as streams, when so
many of its engines are ready. A line of JSON for each answer: custom_id, [reasoning, content]."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx

from kimi_cpu.batch.results import seed_of

AT_ONCE = 12
POLL_S = 0.2
PATIENCE_S = 120.0  # without an event


def main(url: str, key: str, num_engines: int, source: Path) -> None:
    """See the module. AssertionError: an answer has an error."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_S) as http:
        while not is_ready(http, num_engines):
            time.sleep(POLL_S)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            lines = map(json.loads, source.read_text().splitlines())
            for done in as_completed([threads.submit(ask, http, line) for line in lines]):
                print(json.dumps(done.result()), flush=True)


def is_ready(http: httpx.Client, num_engines: int) -> bool:
    """Whether the engines are there."""
    try:
        health = http.get("/health")
    except httpx.ConnectError:
        return False
    return health.status_code == 200 and list(health.json()["replicas"].values()).count("ready") == num_engines


def ask(http: httpx.Client, line: dict) -> tuple[str, list[str]]:
    """custom_id and the two texts of an answer, with the seed that the batch gives it."""
    body = {**line["body"], "stream": True, "seed": seed_of(line["custom_id"], 0)}
    texts = {"reasoning_content": "", "content": ""}
    with http.stream("POST", line["url"], json=body) as answer:
        for told in answer.iter_lines():
            if told.startswith("data: {"):
                event = json.loads(told.removeprefix("data: "))
                assert "error" not in event, event
                for choice in event["choices"]:
                    for name in texts:
                        texts[name] += choice["delta"].get(name) or ""
    return line["custom_id"], list(texts.values())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
