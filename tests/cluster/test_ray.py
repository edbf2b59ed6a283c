"""A batch over engines that Ray runs, two on this machine."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..batch.fake import request, results, write
from .test_remote import answers

if find_spec("ray") is None:
    pytest.skip("Ray", allow_module_level=True)

REQUESTS = [request(f"q-{i}", 40 + i * 11 % 300, ignore_eos=True, temperature=1) for i in range(60)]
SEATS = 2


class Cluster:
    """A Ray cluster of this machine, and the commands that use it."""

    def __init__(self, folder):
        self.env = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.log = (folder / "head.log").open("w+")
        start = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--port=0", "--num-cpus=2"]
        start += ["--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=80000000"]
        start += [f'--resources={{"kimi-cpu": {SEATS}}}', f"--temp-dir={folder}"]
        self.head = subprocess.Popen(start, env=self.env, stdout=self.log, stderr=subprocess.STDOUT)
        while not (found := re.search(r"--address='(\S+)'", (folder / "head.log").read_text())):
            assert self.head.poll() is None, (folder / "head.log").read_text()
            time.sleep(0.1)
        self.address = found[1]

    def batch(self, *args, env=()):
        command = [sys.executable, "-m", "kimi_cpu", "batch", *map(str, args), "--ray", self.address]
        return subprocess.Popen(command, env=self.env | dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def engines(self):
        """Their processes."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                name, stat = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
            except OSError:
                continue
            raylet = int(stat.rpartition(")")[2].split()[1])
            if name.startswith(b"ray::EngineActor") and self._is_ours(raylet):
                found.append(int(folder.name))
        return found

    def _is_ours(self, raylet):
        try:
            stat = Path(f"/proc/{raylet}/stat").read_text()
        except OSError:
            return False
        return int(stat.rpartition(")")[2].split()[1]) == self.head.pid

    def close(self):
        self.head.terminate()
        self.head.wait()
        self.log.close()


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="k"))  # the paths of sockets must be short
    made = Cluster(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_engines_that_are_killed_cost_no_line(cluster, kimi_cpu, tiny_file, tmp_path):
    source, output = write(tmp_path / "in.jsonl", REQUESTS), tmp_path / "out.jsonl"
    options = [source, "-m", tiny_file, "-c", 512, "--seed", 3, "--parallel", 4]
    assert kimi_cpu("batch", *options, "-o", tmp_path / "expected.jsonl").code == 0
    process, killed = cluster.batch(*options, "-o", output, "--json"), []
    while process.poll() is None:
        found = len(results(output)) if output.exists() else 0
        engines = [pid for pid in cluster.engines() if pid not in killed]
        if found > 5 * len(killed) and engines and len(killed) < 2:
            killed.append(engines[0])
            os.kill(engines[0], signal.SIGKILL)
        time.sleep(0.02)
    out, err = process.communicate()
    assert process.returncode == 0 and len(killed) == 2, err.decode()
    assert json.loads(out)["results"] == len(REQUESTS)  # and Ray prints nothing there
    assert answers(output) == answers(tmp_path / "expected.jsonl")
    assert b"takes part" in err and b"Traceback" not in err


def test_hosts_that_cannot_take_part_say_why(cluster, tmp_path):
    source = write(tmp_path / "in.jsonl", REQUESTS)
    process = cluster.batch(source, "-m", tmp_path / "k2.gguf", "-o", tmp_path / "out.jsonl")
    _, err = process.communicate()
    assert process.returncode == 1 and not (tmp_path / "out.jsonl").exists()
    last = err.decode().splitlines()[-1]
    assert re.search(r"No host can take part\. .*\(engine 1 of 2\): \S+k2.gguf: No such file", last)


def test_cluster_is_joined_with_its_token_only(cluster, tmp_path):
    source = write(tmp_path / "in.jsonl", REQUESTS)
    env = {"RAY_AUTH_TOKEN": "", "HOME": str(tmp_path)}
    process = cluster.batch(source, "-o", tmp_path / "out.jsonl", env=env)
    _, err = process.communicate()
    assert process.returncode == 1 and b"There is no token for the Ray cluster at" in err
