"""A batch over engines that Ray runs, two on this machine."""

import json
import os
import re
import signal
import time
from importlib.util import find_spec

import pytest

from ..batch.fake import request, results, write
from .ray_here import ray_cluster
from .test_remote import answers

if find_spec("ray") is None:
    pytest.skip("Ray", allow_module_level=True)

REQUESTS = [request(f"q-{i}", 20 + i * 11 % 150, ignore_eos=True, temperature=1) for i in range(200)]
SEATS = 2


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(SEATS) as made:
        yield made


def test_engines_that_are_killed_cost_no_line(cluster, kimi_cpu, tiny_file, tmp_path):
    source, output = write(tmp_path / "in.jsonl", REQUESTS), tmp_path / "out.jsonl"
    options = [source, "-m", tiny_file, "-c", 512, "--seed", 3, "--parallel", 4]
    assert kimi_cpu("batch", *options, "-o", tmp_path / "expected.jsonl").code == 0
    process, killed = cluster.batch(*options, "-o", output, "--json"), []
    while process.poll() is None and not killed:
        if output.exists() and results(output):
            killed = cluster.engines()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    out, err = process.communicate()
    assert process.returncode == 0 and killed, err.decode()
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
    process = cluster.batch(source, "-o", tmp_path / "out.jsonl", RAY_AUTH_TOKEN="", HOME=str(tmp_path))
    _, err = process.communicate()
    assert process.returncode == 1 and b"There is no token for the Ray cluster at" in err
