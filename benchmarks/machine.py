"""What a measured number is worth nothing without: the machine and the software, as text; medians with their range."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
GIB = 1 << 30


def card(packages: Iterable[str] = ("numpy", "numba")) -> list[str]:
    """Lines of Markdown: processor, cores, memory, kernel, versions of Python and of packages, commit, date."""
    return card_of(facts(packages))


def facts(packages: Iterable[str]) -> dict:
    """The same for JSON."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "arch": platform.machine(),
        "memory_gib": round(memory),
        "linux": platform.release(),
        "versions": {"Python": platform.python_version()} | {package: version(package) for package in packages},
        "commit": _commit(),
        "date": str(date.today()),
    }


def card_of(facts: dict) -> list[str]:
    """Lines of Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return [
        f"{facts['cpu']}, {facts['cores']} cores ({facts['arch']}), {facts['memory_gib']} GiB, Linux {facts['linux']},",
        f"{versions}; commit {facts['commit']}, {facts['date']}.",
    ]


def spread(values: Iterable[float], digits: int = 1) -> str:
    """'median (smallest-largest)'."""
    values = sorted(values)
    return f"{median(values):.{digits}f} ({values[0]:.{digits}f}-{values[-1]:.{digits}f})"


def put_part(path: Path, heading: str, title: str, text: list[str]) -> None:
    """Puts one part, "## title" and the lines of text, into a file of results; its other parts stay."""
    old = path.read_text() if path.exists() else f"# {heading}\n"
    parts = [part for part in old.split("\n## ") if part.split("\n")[0] != title]
    path.write_text("\n## ".join([*(p.rstrip() + "\n" for p in parts), "\n".join([title, "", *text, ""])]))


def anonymous_bytes(pid: int) -> int:
    """RssAnon of a process; 0 once it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(x.split()[1]) << 10 for x in text.splitlines() if x.startswith("RssAnon")), 0)


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


def _commit() -> str:
    """The last commit that changed the package, with a + when files in it were changed since."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=ROOT).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "kimi_cpu")
    return (git("log", "-1", "--format=%h", "--", "kimi_cpu") or "unknown") + ("+" if changed else "")
