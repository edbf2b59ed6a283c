"""A session that is saved again and again, and killed in between."""

import json
from pathlib import Path

from kimi_cpu.engine.session_file import BLOCK, Label, contents, read

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
        whole = run_whole(self._folder, self._arguments(self._folder, SAVES), (self._folder / "talk").exists)
        self._either = {_held(self._folder / name)[0] for name in ("talk", "first")}
        assert len(self._either) == 2
        return whole

    def case(self, folder: Path, moment: Moment) -> str:
        """Kills one; what it met. AssertionError: a promise is broken."""
        killed = run_killed(folder, self._arguments(folder, SAVES), (folder / "talk").exists, moment)
        there, torn = (folder / "talk").exists(), (folder / "talk.partial").exists()
        if there:
            held, is_unfinished = _held(folder / "talk")
            assert held in self._either, "the session is neither of the two"
            torn |= is_unfinished
        finish(folder, self._arguments(folder, 2))
        left = sorted(path.name for path in folder.iterdir())
        assert left == ["calls", "first", "talk"], f"left behind: {left}"
        return (
            f"{'killed' if killed else 'ended'}, {'whole' if there else 'none yet'}{', within a save' if torn else ''}"
        )

    def _arguments(self, folder: Path, times: int) -> list:
        return [PROGRAM, self._model, folder / "talk", folder / "first", times]


def _held(path: Path) -> tuple:
    """The tokens and full pages of a file, and whether a save was begun behind them. SessionError."""
    with path.open("rb") as file:
        header = json.loads(file.read(BLOCK))
        label = Label(*(header[name] for name in Label._fields))
        saved = read(path, file, label)
        for _ in contents(path, file, saved, label, len(saved.page_at)):
            pass  # each is compared with its checksum
    full = saved.page_crc[: saved.num_cached // 64].tobytes()
    tokens = saved.tokens.ids.tobytes(), saved.tokens.forms.tobytes(), saved.num_cached
    return (tokens, full), saved.place.end < path.stat().st_size
