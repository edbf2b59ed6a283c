"""Starting a server in a process of its own: a port for it, and waiting until it has its model."""

import socket
import subprocess
import time
import urllib.request

LIMIT_S = 600.0  # kernels may have to be compiled


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until_ready(url: str, server: subprocess.Popen) -> bool:
    """Whether the server at a URL has its model; False when its process has ended. TimeoutError."""
    end = time.monotonic() + LIMIT_S
    while server.poll() is None:
        try:
            if urllib.request.urlopen(f"{url}/health", timeout=5).status == 200:
                return True
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"The server at {url} has no model after {LIMIT_S:.0f} s.")
        time.sleep(0.05)
    return False
