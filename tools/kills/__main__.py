"""The command; see the package."""

import argparse
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from kimi_cpu import convert

from . import __doc__ as about
from .agent import Agent
from .batch import Batch
from .convert import Convert
from .killing import ROOT, Moment, Whole
from .serve import Serve
from .session import Session

KINDS = {"convert": Convert, "batch": Batch, "session": Session, "serve": Serve, "agent": Agent}
CHECKPOINT = ROOT / "tests" / "data" / "tiny" / "base"


def main() -> int:
    """0: every promise was kept."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="may be given several times; all")
    parser.add_argument("--moments", type=int, default=20, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="kimi-cpu-kills-") as name:
        model = Path(name) / "model.gguf"
        convert(given.checkpoint, model)
        num_broken = 0
        for kind in given.kind or KINDS:
            began = time.monotonic()
            folder = Path(name) / kind
            folder.mkdir()
            broken = run(kind, folder, given.checkpoint, model, given.moments, given.seed, print)
            print(
                f"{kind}: {given.moments} moments, {broken} broken promises, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            num_broken += broken
    return 1 if num_broken else 0


def run(kind: str, folder: Path, checkpoint: Path, model: Path, num_moments: int, seed: int, tell) -> int:
    """Kills one kind at so many moments; how many of them broke a promise."""
    scenario = KINDS[kind](folder, checkpoint, model)
    whole, broken = scenario.whole(), 0
    for number, moment in enumerate(moments(whole, num_moments, random.Random(f"{kind} {seed}"))):
        place = folder / str(number)
        place.mkdir()
        try:
            met = scenario.case(place, moment)
        except AssertionError as e:
            broken += 1
            met = f"BROKEN: {e}"
        tell(f"{kind} {number:2} at {moment}: {met}", flush=True)
    return broken


def moments(whole: Whole, count: int, draw: random.Random) -> list[Moment]:
    """Half of them calls, half of them times, each half spread over the whole run."""
    found = []
    for number in range(count):
        share = (number // 2 + draw.random()) / (count / 2)
        is_call = number % 2 == 0 and whole.calls > 0
        found.append(Moment(1 + int(share * whole.calls)) if is_call else Moment(after_s=share * whole.seconds))
    return found


if __name__ == "__main__":
    sys.exit(main())
