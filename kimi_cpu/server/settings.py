"""The settings of a server."""

import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError

LOOPBACK_NAMES = ("localhost",)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The address of a server, its clients and its limits. ConfigError: a public address without a key.

    open_to_all: serve a public address without a key all the same. origins: web origins whose pages may call the API.
    hosts: names, besides localhost and plain addresses, under which browsers may reach it. mcp: the file of the MCP
    servers whose tools an agent may call; allow: names of those that need no consent, in which * stands for anything;
    agent_token: what its routes ask for, another one for each server unless it is given. replicas: engines that answer
    side by side on the hosts of a cluster; None: there is one, in this process. parallel: sequences that run at once on
    each. max_waiting: requests that may wait for a place. ping_s: seconds of silence after which an event stream sends
    a comment. slow_s: seconds for the head of a request, and for its body beyond those that its size explains; stall_s:
    seconds for which a client may read nothing of an answer.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    open_to_all: bool = False
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    mcp: Path | None = None
    allow: tuple[str, ...] = ()
    agent_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    replicas: int | None = None
    parallel: int = 16
    max_waiting: int = 128
    max_body_bytes: int = 32 * 2**20  # 262,144 tokens are about 1 MiB of English; tools and escapes come on top
    max_connections: int = 512  # or half of the files that this process may open
    ping_s: float = 10.0  # proxies and clients give up after 30 s or more
    slow_s: float = 20.0
    stall_s: float = 60.0
    shutdown_s: int = 5

    @property
    def num_running(self) -> int:
        """Sequences that run at once on all engines."""
        return self.parallel * (self.replicas or 1)

    def __post_init__(self) -> None:
        if self.api_key == "":
            raise ConfigError("The API key is empty. Leave it out, or choose one.")
        if not is_loopback(self.host) and self.api_key is None and not self.open_to_all:
            raise ConfigError(
                f"{self.host} can be reached from other machines, and there is no key. "
                "Set --api-key, or say --open-to-all if everyone may use it."
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
