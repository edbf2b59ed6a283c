"""A batch of one model in three stages, which Ray runs on this machine."""

import os
import re
import shutil
import signal
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.hosts.cluster import STAGE, Cluster

from ..batch.fake import request, results, write
from .test_remote import answers

if find_spec("ray") is None:
    pytest.skip("Ray", allow_module_level=True)

REQUESTS = [request(f"q-{i}", 20 + i * 11 % 150, ignore_eos=True, temperature=1) for i in range(100)]
STAGES = 3


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="k"))  # the paths of sockets must be short
    with Cluster(folder) as made:
        made.start(STAGES, STAGES)
        yield made
    shutil.rmtree(folder, ignore_errors=True)


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


def test_more_stages_than_places_are_refused(cluster, tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", REQUESTS)
    process = cluster.batch(source, "-m", tiny_file, "-o", tmp_path / "out.jsonl", "--ray-stages", STAGES + 1)
    _, err = process.communicate()
    assert process.returncode == 1 and b"offers 3 places for engines, and 4 stages need as many" in err
