"""The command; see the package."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from . import __doc__ as about
from . import driver
from .kinds import KINDS, WHOLE
from .worker import make_case


def main() -> int:
    """0: nothing failed."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="may be given several times; all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first case")
    parser.add_argument("--cases", type=int, metavar="N", help="of each kind; as many as a whole run has")
    parser.add_argument("--case", type=int, metavar="N", help="this one alone, in this process")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", type=int, default=6144, metavar="MIB", help="address space of a worker")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the files of cases that fail")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came of it")
    given = parser.parse_args()
    kinds = given.kind or list(KINDS)
    if given.case is not None:
        return _one(kinds[0], given.seed, given.case, given.keep)
    cases = [
        (kind, given.seed, number)
        for kind in kinds
        for number in range(given.first, given.first + (given.cases or WHOLE[kind]))
    ]
    report = driver.run(cases, given.workers, given.memory, given.keep, _say)
    print(json.dumps(report.as_dict()["counts"], indent=1), f"{report.seconds:.0f} s", file=sys.stderr)
    if given.json:
        given.json.write_text(json.dumps(report.as_dict(), indent=1) + "\n")
    return 1 if report.failures else 0


def _say(report: driver.Report, failure: dict | None) -> None:
    """Every failure as it comes, and now and then how far it is."""
    if failure is not None:
        print(f"{failure['case']}\n    {failure['outcome']}: {failure['more']}", flush=True)
    done = sum(sum(counter.values()) for counter in report.counts.values())
    if done % 200 == 0:
        print(f"{done} cases, {len(report.failures)} failures", file=sys.stderr, flush=True)


def _one(kind: str, seed: int, number: int, keep: Path | None) -> int:
    """One case, in this process. Its exceptions are not caught."""
    with TemporaryDirectory(prefix="kimi-cpu-fuzz-") as name:
        folder = Path(name)
        driver.prepare(folder, [kind])
        path = (keep or folder) / f"{kind}-{seed}-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        make_case(kind, seed, number, folder, path)
        print(KINDS[kind].use(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
