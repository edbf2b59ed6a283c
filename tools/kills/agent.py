"""A run of an agent that is killed."""

import json
from collections import Counter
from pathlib import Path

from kimi_cpu.llm import BUNDLED_MODEL

from .killing import Moment, Whole, finish, run_killed, run_whole

STEPS = 50
PAGE = 64
PROGRAM = Path(__file__).with_name("acting.py")
CHANGES = ("at", "run", "seconds", "prefill_s", "decode_s", "cached_tokens")  # of a record, from run to run


class Agent:
    """See the package."""

    def __init__(self, folder: Path, checkpoint: Path, model: Path):
        self._folder = folder / "whole"  # on the bundled model: the tiny one has no room for so many steps
        self._folder.mkdir()

    def whole(self) -> Whole:
        """The run that the others are compared with."""
        whole = run_whole(self._folder, self._arguments(self._folder), (self._folder / "run").exists)
        self._state = (self._folder / "state").read_bytes()
        self._records = [told(record) for record in records(self._folder / "run")]
        return whole

    def case(self, folder: Path, moment: Moment) -> str:
        """Kills one; what it met. AssertionError: a promise is broken."""
        run = folder / "run"
        killed = run_killed(folder, self._arguments(folder), run.exists, moment)
        before = records(run) if run.exists() else []
        returned = {record["call"] for record in before if record["kind"] == "returned"}
        finish(folder, self._arguments(folder))
        after = records(run)
        assert (folder / "state").read_bytes() == self._state, "the state is not the uninterrupted run's"
        assert [told(record) for record in after] == self._records, "the run is not the uninterrupted one"
        made = Counter((folder / "made").read_text().split())
        assert all(made[call] == 1 for call in returned), "a call with a result was made again"
        assert max(made.values()) <= 2, "a call was made again without need"
        answers = [record for record in after if record["kind"] == "answered"]
        known = 0
        for answer in answers:
            new = answer["prompt_tokens"] - known
            computed = answer["prompt_tokens"] - answer["cached_tokens"]
            assert computed <= new + PAGE, f"step {answer['step']} computed {computed} tokens, of which {new} were new"
            known = answer["prompt_tokens"] + answer["completion_tokens"]
        twice = sum(count - 1 for count in made.values())
        return f"{'killed' if killed else 'ended'}, {len(before)} records, {twice} calls made twice"

    def _arguments(self, folder: Path) -> list:
        return [PROGRAM, BUNDLED_MODEL, folder / "run", folder / "state", folder / "made", STEPS]


def records(path: Path) -> list[dict]:
    """The whole lines of a journal."""
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def told(record: dict) -> dict:
    """A record without what no run repeats."""
    return {name: value for name, value in record.items() if name not in CHANGES}
