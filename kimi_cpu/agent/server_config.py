"""The configuration of MCP servers, as other programs have it too."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..filetypes import decoded

Config = str | PathLike[str] | Mapping[str, Any]


class ServerConfig(BaseModel):
    """One server of the usual file: a command, or an address. Other keys are other programs'."""

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    type: str | None = None
    disabled: bool = False


def read_config(config: Config) -> dict[str, ServerConfig]:
    """The servers of a configuration. ConfigError: it is none. OSError."""
    where, document = "mcp", config
    if not isinstance(config, Mapping):
        where = str(config)
        try:
            document = json.loads(decoded(Path(config).read_bytes()))
        except ValueError as e:
            raise ConfigError(f"{where} is no JSON: {e}") from None
    servers = document.get("mcpServers") if isinstance(document, Mapping) else None
    if not isinstance(servers, Mapping):
        raise ConfigError(f'{where} names no servers; it has the form {{"mcpServers": {{"NAME": {{"command": …}}}}}}.')
    found = {}
    for name, one in servers.items():
        try:
            server = ServerConfig.model_validate(one)
        except ValidationError as e:
            wrong = e.errors()[0]
            at = ".".join(map(str, (name, *wrong["loc"])))
            raise ConfigError(f"{where}: mcpServers.{at}: {wrong['msg']}.") from None
        if (server.command is None) == (server.url is None):
            raise ConfigError(f"{where}: mcpServers.{name} must have either a command or a url.")
        if server.type == "sse":
            raise ConfigError(f"{where}: mcpServers.{name} speaks SSE, which MCP has given up; use streamable HTTP.")
        found[name] = server
    return found
