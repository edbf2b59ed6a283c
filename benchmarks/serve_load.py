"""Many clients at once that come and go: does the server leak pages, threads or memory, and does it stay healthy?

python benchmarks/serve_load.py MODEL --clients 64 --minutes 3 [--write]
"""

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
from machine import card, put_part

RESULTS = Path(__file__).with_name("results-serve.md")
WARM_UP_S = 60  # caches, pools and allocators fill


async def client(url: str, number: int, until_s: float, seen: Counter, firsts: list[float]) -> None:
    """One user: asks, reads, and in a third of the cases leaves in the middle."""
    rng = random.Random(number)
    async with httpx.AsyncClient(base_url=url, timeout=120) as http:
        while time.monotonic() < until_s:
            text = "".join(rng.choices("abcdefgh ", k=rng.randrange(20, 300)))
            body = {
                "messages": [{"role": "user", "content": text}],
                "max_tokens": rng.randrange(5, 120),
                "stream": rng.random() < 0.9,
            }
            leaves_after = rng.randrange(1, 40) if rng.random() < 0.33 else None
            started_s = time.monotonic()
            try:
                seen[await _ask(http, body, leaves_after, firsts, started_s)] += 1
            except httpx.HTTPError as e:
                seen[type(e).__name__] += 1


async def _ask(http: httpx.AsyncClient, body: dict, leaves_after: int | None, firsts: list, started_s: float) -> str:
    if not body["stream"]:
        timeout = 0.05 * leaves_after if leaves_after else 120
        try:
            return str((await http.post("/v1/chat/completions", json=body, timeout=timeout)).status_code)
        except httpx.ReadTimeout:
            return "left" if leaves_after else "stuck"
    async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        if answer.status_code != 200:
            return str(answer.status_code)
        num_lines = 0
        async for line in answer.aiter_lines():
            num_lines += line.startswith("data: ")
            if num_lines == 2:
                firsts.append(time.monotonic() - started_s)
            if line == "data: [DONE]":
                return "200"
            if leaves_after is not None and num_lines > leaves_after:
                return "left"
    return "cut off"


def sample(process: psutil.Process) -> tuple[float, int]:
    """(MB resident, threads) of the server."""
    return process.memory_info().rss / 1e6, process.num_threads()


async def load(url: str, process: psutil.Process, clients: int, seconds: float) -> tuple[list[str], int]:
    """Runs the clients; returns a table of what was seen, and the number of things that are wrong."""
    seen, firsts, unhealthy, samples = Counter(), [], 0, []
    until_s = time.monotonic() + seconds
    tasks = [asyncio.create_task(client(url, n, until_s, seen, firsts)) for n in range(clients)]
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        while time.monotonic() < until_s:
            await asyncio.sleep(2)
            unhealthy += (await http.get("/health")).status_code != 200
            if time.monotonic() > until_s - seconds + WARM_UP_S:
                samples.append(sample(process))
        await asyncio.wait(tasks, timeout=180)
        stuck = sum(not task.done() for task in tasks)
        await asyncio.sleep(1)
        lines = (await http.get("/metrics")).text.splitlines()
    state = {n: float(v) for n, _, v in (line.rpartition(" ") for line in lines if not line.startswith("#"))}
    left = {
        name: state[f"kimi_cpu:{name}"]
        for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    }
    tenth = max(1, len(samples) // 10)
    early, late = (statistics.mean(s[0] for s in part) for part in (samples[:tenth], samples[-tenth:]))
    threads = [s[1] for s in samples]
    counts = ", ".join(f"{n} {what}" for what, n in sorted(seen.items()))
    table = [
        "| | |",
        "|---|---|",
        f"| answers by status, or how they ended | {counts} |",
        f"| first token, median | {statistics.median(firsts):.2f} s |",
        f"| memory after a minute, at the end | {early:.1f} MB, {late:.1f} MB ({100 * (late / early - 1):+.1f} %) |",
        f"| threads | {min(threads)}-{max(threads)} |",
        f"| after the last client | {', '.join(f'{name} {value:g}' for name, value in left.items())} |",
        f"| clients stuck; times that /health was not 200 | {stuck}; {unhealthy} |",
    ]
    wrong = [seen["stuck"], seen["cut off"], stuck, unhealthy, any(left.values()), late > 1.05 * early]
    return table, sum(map(bool, wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--context", default="2048")
    parser.add_argument("--write", action="store_true", help="put the figures into results-serve.md")
    options = parser.parse_args()
    command = [sys.executable, "-m", "kimi_cpu", "serve", "-m", options.model, "--port", "0", "-c", options.context]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        while httpx.get(f"{url}/health").status_code != 200:
            time.sleep(0.2)
        table, wrong = asyncio.run(load(url, psutil.Process(server.pid), options.clients, 60 * options.minutes))
    finally:
        server.terminate()
        code = server.wait()
    text = [
        f"benchmarks/serve_load.py, {options.clients} clients, {options.minutes:g} minutes; a third of the requests is "
        "left in the middle.",
        "",
        *card(("numpy", "numba", "fastapi", "uvicorn")),
        f"{Path(options.model).name}.",
        "",
        *table,
        f"| exit code after SIGTERM | {code} |",
    ]
    print("\n".join(text))
    if options.write:
        put_part(RESULTS, "The server", "Clients that come and go", text)
    return wrong + (code != 0)


if __name__ == "__main__":
    sys.exit(main())
