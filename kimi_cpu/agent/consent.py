"""Consent: which of the tools that need it may be called."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from .tool import Tool

ALL = "all"
SERVER = "__"  # between the name of an MCP server and that of its tool


class Consent:
    """What its user allows. ask: the other tools are offered, too, and each of their calls is asked about."""

    def __init__(self, allowed: Iterable[str] = (), ask: bool = False):
        """allowed: names of tools, in which * stands for anything; "all" allows all."""
        self.ask = ask
        self._patterns = list(allowed)

    def allow(self, name: str) -> None:
        """Allows a tool from now on."""
        self._patterns.append(name)

    def covers(self, tool: Tool) -> bool:
        """Whether a tool may be called without a question."""
        names = (tool.name, ALL)
        return not tool.needs_consent or any(fnmatchcase(name, p) for p in self._patterns for name in names)

    def unknown(self, tools: Iterable[Tool]) -> list[str]:
        """Names that were allowed and mean none of these tools, nor one of an MCP server."""
        names = [ALL, *(tool.name for tool in tools)]
        own = [p for p in self._patterns if SERVER not in p]
        return [p for p in own if not any(fnmatchcase(name, p) for name in names)]

    @property
    def offers_servers(self) -> bool:
        """Whether the model may be told of a tool of an MCP server."""
        return self.ask or any(SERVER in p or fnmatchcase(ALL, p) for p in self._patterns)

    def offers(self, tool: Tool) -> bool:
        """Whether the model is told of a tool."""
        return self.ask or self.covers(tool)
