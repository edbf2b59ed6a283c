"""Runs every command as containers run them, and says pass or fail for each.

    sudo python tools/container_conditions.py [--cold]

Needs root, Linux and util-linux (unshare, setpriv, mount). A CPU quota of 1.5 CPUs and a memory limit of 3 GiB come
from a control group of its own (version 1 or 2), which is removed at the end; a root file system that can only be read
from a mount namespace; an unknown user without a home, groups or environment from setpriv. Kernels are compiled once,
into a cache that the commands can only read. --cold: one prompt without any cache, too, which takes a minute.
"""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CHECKPOINT = REPOSITORY / "tests" / "data" / "tiny" / "base"
CPUS, MEMORY = 1.5, 3 << 30
UNKNOWN_USER = 12345
GROUPS = Path("/sys/fs/cgroup")
NOT_MINE = ("/proc", "/sys", "/dev")  # file systems that containers have as well
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
WRITE = "import tempfile; tempfile.TemporaryFile(dir='/tmp')"
USABLE = "from kimi_cpu.machine import usable_cores, usable_memory; print(usable_cores(), usable_memory())"
LIBRARY = (
    "import sys, kimi_cpu\n"
    "with kimi_cpu.load(sys.argv[1], context=512) as llm: print(len(llm.generate('Hi', max_tokens=3).token_ids))"
)


class Condition:
    """How a command is run. limited: under the quota and the limit; read_only: nothing but `out` can be written;
    unknown: as a user without a home."""

    def __init__(self, name: str, work: Path, limited: bool, read_only: bool, unknown: bool):
        self.name, self.work = name, work
        self.limited, self.read_only, self.unknown = limited, read_only, unknown
        self.out = work / name.replace(" ", "-")
        self.out.mkdir()
        self.out.chmod(0o777)

    def start(self, command: list, cache: Path | None, stdin: str = "") -> subprocess.Popen:
        """The command, joined to its control groups before it begins."""
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
        if cache is not None:
            variables["XDG_CACHE_HOME"] = str(cache)
        command = ["env", "-i", *(f"{k}={v}" for k, v in variables.items()), *map(str, command)]
        script = ""
        if self.unknown:
            user = str(UNKNOWN_USER)
            command = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *command]
            script += _open_interpreter(self.work)
        if self.read_only:
            script += f"mount --bind {self.out} {self.out}\n"
            for mount in _mounts():
                script += f"mount -o remount,bind,ro {shlex.quote(mount)} 2>/dev/null\n"
        script += f"cd /; exec {shlex.join(command)}"
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", script]
        process = subprocess.Popen(
            command,
            preexec_fn=_join if self.limited else None,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, command: list, cache: Path | None, stdin: str = "") -> str:
        """What the command printed. RuntimeError: it failed, or printed a traceback."""
        process = self.start(command, cache, stdin)
        out, err = process.communicate(timeout=600)
        if process.returncode or "Traceback" in err:
            raise RuntimeError(f"exit code {process.returncode}: {err.strip()[-600:]}")
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true", help="Answer a prompt without any cache, too.")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("It makes control groups and mounts: run it as root.")
    failures = 0
    with tempfile.TemporaryDirectory(prefix="kimi-cpu-conditions-") as folder, _groups():
        work = Path(folder)
        work.chmod(0o755)
        model, cache = work / "tiny.gguf", work / "cache"
        for command in (["convert", CHECKPOINT, "-o", model], ["warmup"]):
            environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(REPOSITORY)}
            subprocess.run([*_kimi(), *command], check=True, env=environment, stderr=subprocess.DEVNULL)
        for condition in (
            Condition("quota and memory limit", work, True, False, False),
            Condition("read-only root", work, False, True, False),
            Condition("unknown user", work, False, False, True),
            Condition("all of them", work, True, True, True),
        ):
            for name, check in _checks(condition, model, cache, options.cold):
                began = time.monotonic()
                try:
                    check()
                    result = "pass"
                except Exception as e:
                    result, failures = f"FAIL: {e}", failures + 1
                print(f"{condition.name:24} {name:22} {time.monotonic() - began:6.1f} s  {result}", flush=True)
    sys.exit(min(failures, 1))


def _checks(condition: Condition, model: Path, cache: Path, cold: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """(name, what raises when it fails) for every command."""
    tiny = ["-m", model, "-n", 3, "-c", 512]
    out, python = condition.out, sys.executable

    def usable() -> None:
        cores, memory = map(int, condition.run([python, "-c", USABLE], cache).split())
        assert cores == min(2, os.cpu_count()) or not condition.limited, f"{cores} cores"
        assert memory == MEMORY or not condition.limited, f"{memory} bytes"
        try:
            condition.run([python, "-c", WRITE], cache)
        except RuntimeError:
            assert condition.read_only
        else:
            assert not condition.read_only, "/tmp can be written"

    def batch() -> None:
        (out / "in.jsonl").write_text("Hi\nHello\n")
        condition.run([*_kimi(), "batch", "--text", out / "in.jsonl", "-o", out / "out.jsonl", *tiny[:2]], cache)
        assert len((out / "out.jsonl").read_text().splitlines()) == 2, "answers are missing"

    def convert() -> None:
        condition.run([*_kimi(), "convert", CHECKPOINT, "-o", out / "made.gguf"], cache)
        assert (out / "made.gguf").read_bytes() == model.read_bytes(), "another file"

    def chat() -> None:
        options = ("--temp", 0, "--no-think", "--ignore-eos")
        answers = condition.run([*_kimi(), "chat", *tiny, *options], cache, "Hi\n/save kept\nAnd?\n")
        assert answers.strip(), "no answer"

    yield "cores and memory", usable
    yield "inspect --cpu", lambda: condition.run([*_kimi(), "inspect", "--cpu"], cache)
    yield "warmup", lambda: condition.run([*_kimi(), "warmup"], cache)
    yield "plan", lambda: condition.run([*_kimi(), "plan", model], cache)
    yield "run", lambda: condition.run([*_kimi(), "run", *tiny, "Hi"], cache)
    yield "chat", chat
    yield "batch", batch
    yield "serve and a request", lambda: _served(condition, model, cache)
    yield "convert", convert
    yield "verify", lambda: condition.run([*_kimi(), "verify", out / "made.gguf", "--against", CHECKPOINT], cache)
    yield "bench", lambda: condition.run([*_kimi(), "bench", "-m", model, "-p", 16, "-n", 4], cache)
    yield "library", lambda: condition.run([python, "-c", LIBRARY, model], cache)
    if cold:
        yield "run without a cache", lambda: condition.run([*_kimi(), "run", *tiny, "Hi"], None)


def _served(condition: Condition, model: Path, cache: Path) -> None:
    process = condition.start([*_kimi(), "serve", "-m", model, "--port", 0, "-c", 512], cache)
    said = ""
    try:
        while not (found := re.search(r"http://\S+:(\d+)", said)):
            line = process.stderr.readline()
            assert line, f"it ended: {said}"
            said += line
        _answer(f"http://127.0.0.1:{found[1]}")
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in said + err, err
    assert process.returncode == 0, f"exit code {process.returncode}: {err}"


def _answer(url: str) -> None:
    """Waits until the model is loaded, and asks it something."""
    end = time.monotonic() + 300
    while True:
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(CHAT).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                assert json.load(reply)["usage"]["completion_tokens"] > 0
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _kimi() -> list[str]:
    return [sys.executable, "-m", "kimi_cpu"]


def _mounts() -> list[str]:
    """Where file systems are mounted that a container would have read-only."""
    points = [line.split()[1].replace("\\040", " ") for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [p for p in points if not any(p == other or p.startswith(other + "/") for other in NOT_MINE)]


def _open_interpreter(work: Path) -> str:
    """Commands that show this Python to everybody, in a mount namespace, when it lies in a home that is closed."""
    base = Path(sys.base_prefix).resolve()
    closed = [path for path in reversed(base.parents) if not path.stat().st_mode & 0o001]
    if not closed:
        return ""
    aside = work / "python"
    aside.mkdir(exist_ok=True)
    return (
        f"mount --bind {base} {aside} && mount -t tmpfs -o mode=755 none {closed[0]} && "
        f"mkdir -p {base} && mount --bind {aside} {base}\n"
    )


def _own_groups() -> list[Path]:
    name = f"kimi-cpu-conditions-{os.getpid()}"
    if (GROUPS / "cgroup.controllers").exists():
        return [GROUPS / name]
    return [GROUPS / "cpu" / name, GROUPS / "memory" / name]


@contextmanager
def _groups() -> Iterator[None]:
    """The control groups with the quota and the limit, while the block lasts."""
    made = OWN_GROUPS
    if len(made) == 1:
        (GROUPS / "cgroup.subtree_control").write_text("+cpu +memory")
    try:
        for group in made:
            group.mkdir()
        if len(made) == 1:
            (made[0] / "cpu.max").write_text(f"{int(CPUS * 100_000)} 100000")
            (made[0] / "memory.max").write_text(str(MEMORY))
        else:
            (made[0] / "cpu.cfs_period_us").write_text("100000")
            (made[0] / "cpu.cfs_quota_us").write_text(str(int(CPUS * 100_000)))
            (made[1] / "memory.limit_in_bytes").write_text(str(MEMORY))
        yield
    finally:
        for group in made:
            if group.exists():
                group.rmdir()


def _join() -> None:
    """Puts the process that calls it into the groups."""
    for group in OWN_GROUPS:
        (group / "cgroup.procs").write_text("0")


OWN_GROUPS = _own_groups()

if __name__ == "__main__":
    main()
