"""A process that takes cases, one a line of its input, and says on a line of its output what came of each.

Its first argument is the folder of the good files, its second the limit of its address space in MiB. What a case
prints goes to where this process's stderr goes.
"""

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from random import Random

from .kinds import KINDS
from .outcome import Fault

MAX_GROWTH_KB = 1 << 20  # of memory that is resident, in one case


def make_case(kind: str, seed: int, number: int, folder: Path, path: Path) -> None:
    """The file of a case, which is the same whenever it is made."""
    KINDS[kind].make(Random(f"{kind} {seed} {number}"), folder / kind, path)


def judge(kind: str, path: Path) -> tuple[str, str]:
    """(what came of it, more about it): answered, refused, fault, exception or memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome, more = KINDS[kind].use(path), ""
    except Fault as e:
        outcome, more = "fault", str(e)
    except MemoryError:
        outcome, more = "memory", traceback.format_exc(limit=-4)
    except Exception:
        outcome, more = "exception", traceback.format_exc(limit=-6)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > MAX_GROWTH_KB:
        return "memory", f"grew by {grown >> 10} MiB; {outcome} {more}"
    return outcome, more


def main() -> None:
    folder, limit = Path(sys.argv[1]), int(sys.argv[2]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        kind, seed, number, path = json.loads(line)
        make_case(kind, seed, number, folder, Path(path))
        print(json.dumps(judge(kind, Path(path))), file=answers, flush=True)


if __name__ == "__main__":
    main()
