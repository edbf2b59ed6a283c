"""A conversion that is killed."""

from pathlib import Path

from .killing import Moment, Whole, finish, run_killed, run_whole

JOBS = 2
BESIDES = 8  # writes that are no parts: the header, the hashes; and what a thread had written and not yet noted, a job


class Convert:
    """See the package."""

    def __init__(self, folder: Path, checkpoint: Path, model: Path):
        self._source, self._folder = checkpoint, folder / "whole"
        self._folder.mkdir()

    def whole(self) -> Whole:
        """The run that the others are compared with."""
        whole = run_whole(self._folder, self._arguments(self._folder), lambda: self._partial(self._folder).exists())
        self._bytes = (self._folder / "out.gguf").read_bytes()
        self._calls = whole.calls
        return whole

    def case(self, folder: Path, moment: Moment) -> str:
        """Kills one; what it met. AssertionError: a promise is broken."""
        out, journal = folder / "out.gguf", folder / "out.gguf.journal"
        arguments = self._arguments(folder)
        killed = run_killed(folder, arguments, lambda: self._partial(folder).exists(), moment)
        assert not out.exists() or out.read_bytes() == self._bytes, "the output is there and not whole"
        facts = journal.read_text().splitlines() if journal.exists() else []
        num_parts = sum(line.startswith("part ") for line in facts)
        finish(folder, [*arguments, "--resume"])
        assert out.read_bytes() == self._bytes, "the resumed file differs"
        left = sorted(path.name for path in folder.iterdir())
        assert left == ["calls", "out.gguf"], f"left behind: {left}"
        calls = int((folder / "calls").read_text())
        assert calls <= self._calls - num_parts + BESIDES * JOBS, "parts that were done were packed again"
        return f"{'killed' if killed else 'ended'}, {num_parts} parts in the journal"

    def _arguments(self, folder: Path) -> list:
        return ["kimi-cpu", "convert", self._source, "-o", folder / "out.gguf", "--jobs", JOBS]

    def _partial(self, folder: Path) -> Path:
        return folder / "out.gguf.partial"
