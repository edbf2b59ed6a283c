"""A server over engines on hosts of their own, one of which is cut off for a while."""

import json
import subprocess
import sys
import threading
from pathlib import Path

from ..kills.batch import answers
from .cluster import ROOT, Cluster
from .network import Network

CUT_AFTER, CUT_S = 0.1, 20.0  # of the requests; a host is away
KEY, PORT = "a-key", 8080


def served(folder: Path, source: Path, expected: Path, num_engines: int) -> None:
    """Asks for the chats of a batch as streams. AssertionError: the answers are not those of the batch."""
    whole = {name: said(body) for name, body in answers(expected).items()}
    found = dict[str, list[str]]()
    with Network(num_engines) as network, Cluster(folder) as cluster:
        cluster.start_on(network)
        options = ["--replicas", num_engines, "--host", network.address(0), "--port", PORT, "--api-key", KEY]
        server = cluster.serve(*options, inside=network.inside(0))
        client = [*network.inside(0), sys.executable, "-m", "tools.hosts.streams"]
        client += [f"http://{network.address(0)}:{PORT}", KEY, str(num_engines), str(source)]
        back = threading.Timer(CUT_S, network.join, (1,))
        back.daemon = True
        with subprocess.Popen(client, cwd=ROOT, env=cluster.env, stdout=subprocess.PIPE) as asking:
            assert asking.stdout is not None
            for line in asking.stdout:
                name, texts = json.loads(line)
                found[name] = texts
                if len(found) == int(CUT_AFTER * len(whole)):
                    network.cut(1)
                    back.start()
        assert back.finished.is_set(), f"the run was too short: {len(found)} answers"
        assert found == whole, "the answers are not those of the batch"
        server.terminate()
        assert server.wait() == 0


def said(body: dict) -> list[str]:
    """The two texts of a chat's answer."""
    message = body["choices"][0]["message"]
    return [message.get("reasoning_content") or "", message["content"] or ""]
