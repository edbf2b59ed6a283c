"""A batch and a server over one model in stages, which Ray runs on this machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec

import pytest

from tools.hosts.cluster import ROOT, STAGE
from tools.same_in_stages import CASES, difference

from ..batch.fake import request, results, write
from .ray_here import ray_cluster
from .test_remote import answers

if find_spec("ray") is None:
    pytest.skip("Ray", allow_module_level=True)

REQUESTS = [request(f"q-{i}", 20 + i * 11 % 150, ignore_eos=True, temperature=1) for i in range(40)]
STAGES = 3


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(STAGES) as made:
        yield made


def test_stage_that_is_killed_costs_no_line(cluster, kimi_cpu, tiny_file, tmp_path):
    source, output = write(tmp_path / "in.jsonl", REQUESTS), tmp_path / "out.jsonl"
    options = [source, "-m", tiny_file, "-c", 512, "--seed", 3]
    assert kimi_cpu("batch", *options, "-o", tmp_path / "expected.jsonl").code == 0
    process, killed = cluster.batch(*options, "-o", output, "--ray-stages", STAGES), 0
    while process.poll() is None and not killed:
        if output.exists() and results(output):
            killed = cluster.engines(STAGE)[1]
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.01)
    _, err = process.communicate()
    assert process.returncode == 1 and killed, err.decode()
    assert re.search(rb"Stage \d of 3 \(\S+\) is gone", err) and b"Traceback" not in err, err.decode()
    process = cluster.batch(*options, "-o", output, "--ray-stages", STAGES)
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()
    assert answers(output) == answers(tmp_path / "expected.jsonl")


def test_every_kind_of_request_gets_the_tokens_of_one_process(cluster):
    command = [sys.executable, "-m", "tools.same_in_stages", "--stages", "3", "--tokens", "4"]
    command += ["--ray", cluster.address]
    done = subprocess.run(command, cwd=ROOT, env=cluster.env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("| equal |") == 2 * len(CASES), done


def test_difference_is_named():
    assert difference([(1, 2), (3, 4, 5)], [(1, 2), (3, 4, 5)]) is None
    assert difference([(1, 2), (3, 4, 5)], [(1, 2), (3, 4)]) == "answer 2 differs after 2 tokens"
    assert difference([(1, 2), (3, 4, 5)], [(2, 2), (3, 4)]) == "answer 1 differs after 0 tokens"


def test_more_stages_than_places_are_refused(cluster, tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", REQUESTS)
    process = cluster.batch(source, "-m", tiny_file, "-o", tmp_path / "out.jsonl", "--ray-stages", STAGES + 1)
    _, err = process.communicate()
    assert process.returncode == 1 and b"offers 3 places for engines, and 4 stages need as many" in err


def test_server_starts_stages_again_when_one_is_lost_while_nothing_runs(cluster, tiny_file):
    command = [sys.executable, "-m", "kimi_cpu", "serve", "-m", tiny_file, "-c", "512", "--port", "0"]
    command += ["--ray", cluster.address, "--ray-stages", "2"]
    with subprocess.Popen(command, env=cluster.env, stderr=subprocess.PIPE, text=True) as server:
        try:
            url = re.search(r"http://\S+", server.stderr.readline())[0]
            assert "Stage 2 of 2" in said_until(server, "is ready")
            first = answer(url)
            os.kill(cluster.engines(STAGE)[0], signal.SIGKILL)
            assert re.search(r"Stage \d of 2 \(\S+\) is gone", said_until(server, "is ready again"))
            assert answer(url) == first
            server.terminate()
            assert server.wait(30) == 0
        finally:
            server.kill()


def said_until(server, end):
    """What a server says on stderr, up to a line with this end."""
    lines = []
    for line in server.stderr:
        lines.append(line)
        if line.rstrip().endswith(end):
            break
    return "".join(lines)


def answer(url):
    """The text of a greedy completion."""
    body = {"model": "tiny", "prompt": "The quick brown fox", "max_tokens": 9, "temperature": 0, "ignore_eos": True}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(), CONTENT)
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["text"]


CONTENT = {"Content-Type": "application/json"}
