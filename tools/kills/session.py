"""A session that is saved again and again, and killed in between."""

from pathlib import Path

from .killing import Moment, Whole, finish, run_killed, run_whole

SAVES = 40
PROGRAM = Path(__file__).with_name("saving.py")


class Session:
    """See the package."""

    def __init__(self, folder: Path, checkpoint: Path, model: Path):
        self._model, self._folder = model, folder / "whole"
        self._folder.mkdir()

    def whole(self) -> Whole:
        """The run that the others are compared with: both sessions, of which the last one lies in the file."""
        whole = run_whole(self._folder, self._arguments(self._folder), (self._folder / "talk").exists)
        self._either = {(self._folder / name).read_bytes() for name in ("talk", "first")}
        assert len(self._either) == 2
        return whole

    def case(self, folder: Path, moment: Moment) -> str:
        """Kills one; what it met. AssertionError: a promise is broken."""
        killed = run_killed(folder, self._arguments(folder), (folder / "talk").exists, moment)
        there = (folder / "talk").exists()
        assert not there or (folder / "talk").read_bytes() in self._either, "the session is neither of the two"
        torn = (folder / "talk.partial").exists()
        finish(folder, self._arguments(folder, 2))
        left = sorted(path.name for path in folder.iterdir())
        assert left == ["calls", "first", "talk"], f"left behind: {left}"
        return (
            f"{'killed' if killed else 'ended'}, {'whole' if there else 'none yet'}{', within a save' if torn else ''}"
        )

    def _arguments(self, folder: Path, times: int = SAVES) -> list:
        return [PROGRAM, self._model, folder / "talk", folder / "first", times]
