"""What `kimi-cpu batch` is worth: nothing lost when it is killed, flat memory, tokens a second beside its peers'.

    python benchmarks/batch.py kills MODEL [--requests 2000] [--kills 20]       kill -9, resumed, compared; shards too
    python benchmarks/batch.py lines [--lines 1000000]                          memory while lines go through
    python benchmarks/batch.py speed NATIVE.gguf STANDARD.gguf [--rounds 3] [--peer NAME=PYTHON]   peers beside it

Each writes its part of results-batch.md with --write. Slices for `speed` come from tools/make_slice.py; a peer is a
name and the interpreter that has it (PEERS.md).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import ROOT, card, put_part, spread
from workers import Worker, named_python

RESULTS = Path(__file__).with_name("results-batch.md")
PROMPT, ANSWER = 32, 64  # tokens of a request in `speed`


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the figures into results-batch.md")
    parser.add_argument("--work", type=Path, help="folder for files [default: a temporary one]")
    parts = parser.add_subparsers(required=True)
    kills = parts.add_parser("kills")
    kills.add_argument("model", type=Path)
    kills.add_argument("--requests", type=int, default=2000)
    kills.add_argument("--kills", type=int, default=20)
    kills.add_argument("--seed", type=int, default=0)
    kills.set_defaults(run=run_kills, title="Killed and resumed")
    lines = parts.add_parser("lines")
    lines.add_argument("--lines", type=int, default=1_000_000)
    lines.set_defaults(run=run_lines, title="Memory")
    speed = parts.add_parser("speed")
    speed.add_argument("native", type=Path)
    speed.add_argument("standard", type=Path)
    speed.add_argument("--peer", type=named_python, action="append", default=[], metavar="NAME=PYTHON")
    speed.add_argument("--rounds", type=int, default=3)
    speed.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    speed.add_argument("--parallel", type=int, help="sequences [default: what the batch chooses]")
    speed.set_defaults(run=run_speed, title="Tokens a second")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        text = args.run(args, Path(folder))
    print("\n".join(text))
    if args.write:
        put_part(RESULTS, "Batch\n\nWritten by benchmarks/batch.py.", args.title, text)


def run_kills(args, folder: Path) -> list[str]:
    """An uninterrupted run, one that is killed and resumed, and three shards, merged: all must be equal."""
    draw = random.Random(args.seed)
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(request(i, draw)) + "\n" for i in range(args.requests)))
    began = time.monotonic()
    assert subprocess.run(command(args.model, source, folder / "whole.jsonl")).returncode == 0
    seconds = time.monotonic() - began
    whole = answers(folder / "whole.jsonl")
    assert len(whole) == args.requests
    log = killed(args, source, folder / "killed.jsonl", draw)
    assert answers(folder / "killed.jsonl") == whole, "the resumed run differs"
    for i in (1, 2, 3):
        shard = command(args.model, source, folder / f"{i}.jsonl", "--shard", f"{i}/3")
        assert subprocess.run(shard).returncode == 0
    shards = [str(folder / f"{i}.jsonl") for i in (1, 2, 3)]
    merge = [sys.executable, "-m", "kimi_cpu", "merge", *shards, "-o", str(folder / "merged.jsonl")]
    assert subprocess.run(merge, cwd=ROOT).returncode == 0
    assert answers(folder / "merged.jsonl") == whole, "the merged shards differ"
    tokens = sum(body["usage"]["completion_tokens"] for body in whole.values())
    sync = sum(kind == "results" for kind, *_ in log)
    return [
        *card(),
        f"{args.model.name}: {args.requests:,} requests, {tokens:,} tokens, {seconds:.0f} s without interruption.",
        "",
        f"Killed with -9 {len(log)} times, {sync} of them while results were being brought to the disk, and resumed:",
        "every request has one result, with the same answer as in the uninterrupted run.",
        "Three shards, merged, give the same results, too.",
        "",
        "| kill | moment | results before | results on the disk | torn line | answers in checkpoints |",
        "|--|--|--|--|--|--|",
        *(f"| {i} | {' | '.join(map(str, row))} |" for i, row in enumerate(log, 1)),
    ]


def request(i: int, draw: random.Random) -> dict:
    """A line; every tenth answer is long, half the requests name a seed."""
    url = "/v1/chat/completions" if i % 3 else "/v1/completions"
    text = f"Tell me about the number {i}."
    body = {"max_tokens": draw.randint(60, 180) if i % 10 == 0 else draw.randint(1, 12), "ignore_eos": True}
    body |= {"messages": [{"role": "user", "content": text}]} if i % 3 else {"prompt": text}
    body |= {"seed": i} if i % 2 else {}
    return {"custom_id": f"request-{i}", "method": "POST", "url": url, "body": body}


def command(model: Path, source: Path, output: Path, *more: str) -> list[str]:
    """A run as a person starts it, from the repository's root."""
    os.chdir(ROOT)
    return [sys.executable, "-m", "kimi_cpu", "batch", str(source), "-o", str(output), "-m", str(model.absolute()),
            "-c", "1024", *more]  # fmt: skip


def killed(args, source: Path, output: Path, draw: random.Random) -> list[tuple]:
    """Kills the run again and again, then lets it end; what each kill met. A kill is due when the output holds a drawn
    number of results: every second one comes in the 10 ms after it has grown, the others in the second after that."""
    log = []
    for number, due in enumerate(sorted(draw.sample(range(int(0.95 * args.requests)), args.kills))):
        found = len(answers(output)) if output.exists() else 0
        process = subprocess.Popen(command(args.model, source, output), stderr=subprocess.DEVNULL)
        grown = wait_for(process, output, max(due, found + 1))
        kind = "results" if number % 2 else "any"
        time.sleep(draw.uniform(0, 0.01 if kind == "results" else 1.0))
        assert process.poll() is None, "the run ended before it was killed: more requests are needed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        whole, torn, saved = state(output)
        log.append((kind, found, whole, "yes" if torn else "no", saved))
        print(log[-1], f"grown to {grown}", flush=True)
    assert subprocess.run(command(args.model, source, output)).returncode == 0
    return log


def wait_for(process: subprocess.Popen, output: Path, count: int) -> int:
    """Returns as soon as the output has grown to count results or more; how many it has."""
    size = found = 0
    while process.poll() is None:
        time.sleep(0.0002)
        if output.exists() and output.stat().st_size != size:
            size = output.stat().st_size
            found = output.read_bytes().count(b"\n")
            if found >= count:
                return found
    raise SystemExit("the run ended before it could be killed: more requests are needed")


def state(output: Path) -> tuple[int, bool, int]:
    """(whole results, whether the last line is torn, unfinished answers with a checkpoint) after a kill."""
    import shutil
    import sqlite3

    data = output.read_bytes()
    journal = output.with_name(output.name + ".journal")
    copy = journal.with_name("copy")  # SQLite would repair the journal itself
    shutil.copy(journal, copy)
    hot = journal.with_name(journal.name + "-journal")
    if hot.exists():
        shutil.copy(hot, copy.with_name("copy-journal"))
    db = sqlite3.connect(copy)
    saved = db.execute("SELECT COUNT(DISTINCT key) FROM tokens").fetchone()[0]
    db.close()
    copy.unlink()
    return data.count(b"\n"), not data.endswith(b"\n"), saved


def answers(output: Path) -> dict[str, dict]:
    """Bodies by custom_id, without what depends on the moment: when it was made, and what was cached."""
    found = {}
    for line in output.read_bytes().split(b"\n"):
        if line.endswith(b"}"):
            result = json.loads(line)
            assert result["custom_id"] not in found, f"{result['custom_id']} has two results"
            body = result["response"]["body"]
            del body["created"], body["usage"]["prompt_tokens_details"]
            found[result["custom_id"]] = body
    return found


def run_lines(args, folder: Path) -> list[str]:
    """Resident memory while a million lines go through: lines that fail, and lines that a model of numbers answers."""
    sys.path.insert(0, str(ROOT))
    rows = []
    for kind in ("failures", "answers", "ordered answers"):
        told = subprocess.run(
            [sys.executable, "-c", LINES, kind, str(args.lines), str(folder)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        samples, seconds, results = json.loads(told.stdout)
        at = [next(rss for done, rss in samples if done >= share * args.lines) for share in (0.1, 0.5, 1.0)]
        rows.append(f"| {kind} | {results:,} | {seconds:.0f} s | " + " | ".join(f"{x / 2**20:.1f}" for x in at) + " |")
        print(rows[-1], flush=True)
    return [
        *card(("numpy",)),
        f"{args.lines:,} lines through one run; resident memory of the process in MiB after a part of them.",
        "",
        "| lines that are | results | time | after 10 % | after 50 % | after all |",
        "|--|--|--|--|--|--|",
        *rows,
    ]


LINES = """
import json, sys, time
from pathlib import Path
import psutil
from kimi_cpu.batch import BatchOptions, Run
from tests.batch.fake import FakeModel, request
kind, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
source, output = folder / "lines.jsonl", folder / f"{kind}.jsonl"
with source.open("w") as file:
    for i in range(count):
        file.write((request(f"request-{i}", 1) if "answers" in kind else json.dumps({"custom_id": f"r-{i}"})) + chr(10))
samples, process, began = [], psutil.Process(), time.monotonic()
def report(progress):
    samples.append((progress.num_done, process.memory_info().rss))
class Forgetful(FakeModel):
    def answer(self, job, resume):
        self.order.clear(), self.resumed.clear()
        return super().answer(job, resume)
options = BatchOptions(parallel=8, ordered="ordered" in kind)
done = Run([Forgetful()], source, output, options).run(report)
print(json.dumps([samples, time.monotonic() - began, done.num_done]))
"""


def run_speed(args, folder: Path) -> list[str]:
    """The same requests through the batch, one by one and side by side, and through each peer in lockstep."""
    sequences = args.parallel or chosen(args)
    peers = dict(args.peer)
    rows: dict[str, list[float]] = {name: [] for name in ("kimi-cpu, one", "kimi-cpu", *peers)}
    for turn in range(args.rounds + 1):
        for name, rates in rows.items():
            count = 1 if name.endswith("one") else sequences
            rate = peer_rate(args, peers[name], count) if name in peers else measure(args, count)
            if turn:
                rates.append(rate)
                print(name, f"{rate:.2f}", flush=True)
    return [
        *card(),
        f"{args.threads} threads; {args.native.name}, {args.native.stat().st_size / 1e9:.2f} GB, and the same weights "
        f"for the peers (PEERS.md). Requests of {PROMPT} random ids,",
        f"{ANSWER} generated; generated tokens a second from the first prompt to the last token, median "
        f"(smallest-largest) of {args.rounds} runs in turn.",
        f"Sequences at once: {sequences}, "
        + ("as asked for." if args.parallel else "as the batch chose by measurement."),
        "",
        "| | sequences | tokens/s | kimi-cpu to it |",
        "|--|--|--|--|",
        *(
            f"| {name} | {1 if name.endswith('one') else sequences} | {spread(rates, 2)} "
            f"| {spread((ours / its for ours, its in zip(rows['kimi-cpu'], rates, strict=True)), 2)} |"
            for name, rates in rows.items()
        ),
    ]


def chosen(args) -> int:
    """The number of sequences that a batch settles for by itself, given work enough."""
    told = speed_process(args, None, 1200)
    print(f"chosen: {told['parallel']} sequences", flush=True)
    return told["parallel"]


def measure(args, sequences: int) -> float:
    """Generated tokens a second, with two requests a sequence."""
    return speed_process(args, sequences, 2 * sequences)["rate"]


def peer_rate(args, python: str, sequences: int) -> float:
    """The same requests through a peer, `sequences` in lockstep."""
    context = sequences * (PROMPT + ANSWER + 64)
    script, path = Path(__file__).with_name("peers.py"), args.standard.resolve()
    worker = Worker(script, python, path=path, threads=args.threads, context=context)
    try:
        return worker.ask("requests", 2 * sequences, sequences, PROMPT, ANSWER)["rate"]
    finally:
        worker.close()


def speed_process(args, sequences: int | None, count: int) -> dict:
    """One run of this engine in a process of its own."""
    settings = {"path": str(args.native.absolute()), "sequences": sequences, "count": count, "threads": args.threads}
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import batch; batch.kimi_speed({settings!r})"
    told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return json.loads(told.stdout.splitlines()[-1])


def prompts(count: int, vocabulary: int) -> list[list[int]]:
    """Random ids, no two prompts alike."""
    import numpy as np

    return np.random.default_rng(0).integers(10, vocabulary - 300, (count, PROMPT)).tolist()


def kimi_speed(settings: dict) -> None:
    """Runs requests through kimi_cpu.batch; prints {rate, parallel}."""
    import kimi_cpu
    from kimi_cpu.batch import MAX_PARALLEL, BatchOptions, Run
    from kimi_cpu.batch.answers import LanguageModel

    parallel = settings["sequences"]
    loading = {"threads": settings["threads"], "context": 256, "parallel": parallel or MAX_PARALLEL}
    with kimi_cpu.load(settings["path"], **loading) as llm, tempfile.TemporaryDirectory() as folder:
        llm.generate([5] * PROMPT, max_tokens=2, ignore_eos=True)  # the file is in memory after
        source = Path(folder) / "in.jsonl"
        with source.open("w") as file:
            for i, ids in enumerate(prompts(settings["count"], llm.config.vocab_size)):
                body = {"prompt": ids, "max_tokens": ANSWER, "temperature": 0, "ignore_eos": True}
                file.write(json.dumps({"custom_id": str(i), "url": "/v1/completions", "body": body}) + "\n")
        models = [LanguageModel(llm, 0, {}, {})]
        run = Run(models, source, Path(folder) / "out", BatchOptions(parallel=parallel))
        targets = []

        def report(progress) -> None:
            """Without a number, the run is for finding one: it ends when the number has not changed for a while."""
            targets.append(progress.tally.limit)
            if parallel is None and len(targets) > 60 and len(set(targets[-60:])) == 1:
                run.stop()

        done = run.run(report)
        rate = done.tally.num_generated / done.seconds
        print(json.dumps({"rate": rate, "parallel": done.tally.limit}))


if __name__ == "__main__":
    main()
