"""A connection to a Ray cluster, one that runs or one of this machine alone; with a token, unless that is refused."""

import logging
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigError, KimiError
from ..machine import usable_cpus
from .work import Part

LOCAL = "local"  # instead of an address
SEAT = "kimi-cpu"  # Ray's resource, of which a host has one for each engine that may run there
STORE_BYTES = 80 << 20  # of shared memory, the least that Ray takes; what crosses is smaller than what it puts there
MISSING = "Ray is not installed: pip install '.[ray]' in kimi-cpu's source folder"
MODE, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
NO_TOKEN = (
    "There is no token for the Ray cluster at {}. Put the one of its hosts into ~/.ray/auth_token, or name its file in "
    "RAY_AUTH_TOKEN_PATH; `ray get-auth-token --generate` makes one. RAY_AUTH_MODE=disabled is for a cluster without: "
    "it runs whatever anybody sends it."
)


def part_of(resources: Mapping[str, float], number: int) -> Part:
    """The number-th part of a host with these of Ray's resources, which has a seat for each."""
    count = int(resources[SEAT])
    return Part(number, count, int(resources.get("CPU", 0)) // count, int(resources.get("memory", 0)) // count)


@contextmanager
def connected(address: str, tell: Callable[[str], None], num_seats: int = 1) -> Iterator[None]:
    """Inside, this process is a driver of the cluster at an address, or of one that is made for it, with places for
    num_seats engines. For the main thread. tell: takes a warning. ConfigError: there is no Ray here, or no token.
    KimiError: the cluster cannot be joined."""
    here = {MODE: "token", TOKEN: secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"} if address == LOCAL else {}
    with _environment({MODE: os.environ.get(MODE, "token")} | here):
        try:
            import ray
        except ModuleNotFoundError as e:
            raise ConfigError(f"{MISSING} ({e.name} is not there).") from e
        folder = tempfile.mkdtemp(prefix="kimi-cpu-") if address == LOCAL else None
        try:
            _join(ray, address, folder, num_seats)
            if os.environ[MODE] != "token":
                tell(f"warning: the Ray cluster takes no tokens ({MODE}): it runs whatever anybody sends it.")
            yield
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _join(ray: Any, address: str, folder: str | None, num_seats: int) -> None:
    """folder: of a cluster that is to be made; its sockets' paths must be short."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    made: dict[str, Any] = {}
    if folder is not None:
        cpus = usable_cpus()
        made = {"num_cpus": cpus, "resources": {SEAT: num_seats}, "include_dashboard": False, "_temp_dir": folder}
        made["object_store_memory"] = STORE_BYTES
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ray._private.worker._worker_logs_enabled = False  # or it prints what happens to engines on stdout
    try:
        ray.init(address, **quiet, **made)
    except Exception as e:  # of many kinds
        if "authentication token was found" in str(e):
            raise ConfigError(NO_TOKEN.format(address)) from e
        why = str(e).strip().partition("\n")[0]
        raise KimiError(f"The Ray cluster at {address} cannot be joined from this host ({why}).") from e
    finally:
        for number, handler in before.items():  # which Ray takes for itself
            signal.signal(number, handler)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Ray reads what it is told from the environment, and hands it on to the processes that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
