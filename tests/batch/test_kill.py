"""Runs that are killed: kill -9 at any moment, and nothing is lost, repeated or different."""

import random
import signal
import subprocess
import sys
import time

import pytest

from .fake import FakeModel, answer, answers, request, results, run, write

COUNTS = {f"q-{i}": 200 if i % 10 == 0 else 1 + i % 5 for i in range(120)}
PROCESS = """
import sys
from pathlib import Path
from tests.batch.fake import FakeModel, run
run(Path(sys.argv[1]), Path(sys.argv[2]), FakeModel(0.002), parallel=8, ordered=sys.argv[3] == "ordered")
"""


@pytest.mark.parametrize("order", ["ordered", "unordered"])
def test_run_that_is_killed_again_and_again_ends_like_one_that_is_not(tmp_path, order):
    source = write(tmp_path / "in.jsonl", [request(name, count) for name, count in COUNTS.items()])
    output = tmp_path / "out.jsonl"
    moments = random.Random(order)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", PROCESS, source, output, order])
        while process.poll() is None and not output.exists():
            time.sleep(0.01)  # nothing to lose before
        try:
            process.wait(moments.uniform(0.0, 0.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        before = output.read_bytes()
    run(source, output, FakeModel(), ordered=order == "ordered")
    assert output.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert answers(output) == {name: answer(name, count) for name, count in COUNTS.items()}
    assert order == "unordered" or [line["custom_id"] for line in results(output)] == list(COUNTS)
