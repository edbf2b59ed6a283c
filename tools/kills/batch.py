"""A batch that is killed."""

import json
import random
import sqlite3
from pathlib import Path

from .killing import Moment, Whole, finish, run_killed, run_whole

REQUESTS = 60


class Batch:
    """See the package."""

    def __init__(self, folder: Path, checkpoint: Path, model: Path):
        self._model, self._folder, self._source = model, folder / "whole", folder / "in.jsonl"
        self._folder.mkdir()
        draw = random.Random(0)
        self._source.write_text("".join(json.dumps(request(number, draw)) + "\n" for number in range(REQUESTS)))

    def whole(self) -> Whole:
        """The run that the others are compared with."""
        journal = self._folder / "out.jsonl.journal"
        whole = run_whole(self._folder, self._arguments(self._folder), journal.exists)
        self._answers = answers(self._folder / "out.jsonl")
        assert len(self._answers) == REQUESTS
        self._tokens = sum(body["usage"]["completion_tokens"] for body in self._answers.values())
        return whole

    def case(self, folder: Path, moment: Moment) -> str:
        """Kills one; what it met. AssertionError: a promise is broken."""
        out, journal = folder / "out.jsonl", folder / "out.jsonl.journal"
        arguments = self._arguments(folder)
        killed = run_killed(folder, arguments, journal.exists, moment)
        data = out.read_bytes() if out.exists() else b""
        kept = data[: data.rfind(b"\n") + 1]
        found = answers_in(kept)
        assert all(self._answers[name] == body for name, body in found.items()), "an answer differs"
        known = sum(body["usage"]["completion_tokens"] for body in found.values())
        in_checkpoints = checkpointed(journal) if killed else 0
        summary = json.loads(finish(folder, arguments).splitlines()[-1])
        assert out.read_bytes().startswith(kept), "results that were there are gone"
        assert answers(out) == self._answers, "the resumed run differs"
        assert not journal.exists(), "the journal is left"
        again = summary["generated_tokens"] - (self._tokens - known)
        assert again <= 0 and (not killed or -again <= in_checkpoints), "tokens were generated twice"
        return f"{'killed' if killed else 'ended'}, {len(found)} results, {-again} tokens of checkpoints"

    def _arguments(self, folder: Path) -> list:
        run = ["batch", self._source, "-o", folder / "out.jsonl", "-m", self._model, "-c", 512, "--parallel", 4]
        return ["kimi-cpu", *run, "--json"]


def request(number: int, draw: random.Random) -> dict:
    """A line; every tenth answer is long."""
    body = {"prompt": f"The number {number}", "ignore_eos": True}
    body["max_tokens"] = draw.randint(100, 300) if number % 10 == 0 else draw.randint(1, 20)
    return {"custom_id": f"request-{number}", "url": "/v1/completions", "body": body}


def answers(path: Path) -> dict[str, dict]:
    """Bodies by custom_id. AssertionError: one is there twice."""
    return answers_in(path.read_bytes())


def answers_in(data: bytes) -> dict[str, dict]:
    """The same of an output's bytes, without what no run repeats."""
    found = {}
    for line in map(json.loads, data.splitlines()):
        body = line["response"]["body"]
        body["created"] = body["usage"]["prompt_tokens_details"]["cached_tokens"] = 0
        assert line["custom_id"] not in found, "a request is answered twice"
        found[line["custom_id"]] = body
    return found


def checkpointed(journal: Path) -> int:
    """Tokens of unfinished answers. The journal is looked at in a copy: SQLite would repair it."""
    if not journal.exists():
        return 0
    copy = journal.with_name("copy")
    for ending in ("", "-journal"):
        part = journal.with_name(journal.name + ending)
        if part.exists():
            copy.with_name(copy.name + ending).write_bytes(part.read_bytes())
    db = sqlite3.connect(copy)
    try:
        return db.execute("SELECT COALESCE(SUM(LENGTH(ids)), 0) / 4 FROM tokens").fetchone()[0]
    except sqlite3.OperationalError:  # killed before there were tables
        return 0
    finally:
        db.close()
        for path in copy.parent.glob("copy*"):
            path.unlink()
