"""kimi-cpu serve with two engines that Ray runs on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from .serving import Served

ROOT = Path(__file__).parents[2]
ENGINE = "ray::ReplicaActor"  # with it begins what Ray names an engine's process
POLL_S = 0.1


@dataclass(frozen=True)
class Replicated(Served):
    """Where the server is, a client for it, and its processes."""

    process: subprocess.Popen
    log: Path

    def engines(self) -> list[psutil.Process]:
        """Those that can be killed."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in found if "".join(one.cmdline()).startswith(ENGINE)]

    def wait_for_engines(self, count: int = 2) -> None:
        """Returns when so many are ready."""
        while self.process.poll() is None:
            health = self.http.get("/health")
            if health.status_code == 200 and list(health.json()["replicas"].values()) == ["ready"] * count:
                return
            time.sleep(POLL_S)
        raise RuntimeError(self.log.read_text())


@contextmanager
def replicated(model: Path, folder: Path, *options: str) -> Iterator[Replicated]:
    """The server of a model, until the block ends. folder: for its log."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "kimi_cpu", "serve", "--port", "0", "-m", str(model), *options]
    command += ["--ray", "local", "--replicas", "2"]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stderr=file, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        while "http" not in (told := log.read_text()):
            if process.poll() is not None:
                raise RuntimeError(told)
            time.sleep(POLL_S)
        url = next(word for word in told.split() if word.startswith("http"))
        with httpx.Client(base_url=url, timeout=60) as http:
            yield Replicated(url, http, process, log)
    finally:
        process.terminate()
        process.wait()
