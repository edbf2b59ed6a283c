"""The agent of a server: MCP servers, which run as long as it, and the runs of its clients."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ..agent import Tool
from ..agent.consent import Consent
from ..agent.enforceable import enforceable
from ..agent.servers import Servers
from ..errors import EngineDeadError
from ..llm import TextModel
from .agent_run import AgentRun
from .errors import SHUTTING_DOWN, ApiError

LEFT_S = 600.0  # a run that nobody reads is stopped after this time, and one that is over is forgotten


class Agents:
    """The tools of MCP servers, and the runs that may call them. notices: what the servers offer, and what is wrong
    with them."""

    def __init__(self, config: Path, allowed: Sequence[str], most: int):
        """config: the file of the MCP servers. allowed: names of tools that need no consent, as Consent has them. most:
        runs at a time."""
        self._config, self._allowed, self._most = config, tuple(allowed), most
        self.notices: list[str] = []
        self._tools: list[Tool] | None = None
        self._servers: Servers | None = None
        self._runs: dict[str, AgentRun] = {}

    def start(self) -> None:
        """Starts the servers, in half a minute at most. ConfigError: the file is wrong. OSError."""
        self._servers = Servers(self._config)
        self.notices += self._servers.notices

    def offer(self, llm: TextModel) -> None:
        """Offers the tools of the servers, once they are started, to a model."""
        assert self._servers is not None
        self._tools = [enforceable(llm, tool, self.notices.append) for tool in self._servers.tools]

    async def stop(self) -> None:
        """Ends all runs, and the servers."""
        for run in self._runs.values():
            run.stop(EngineDeadError(SHUTTING_DOWN))
        await asyncio.to_thread(self._close)

    @property
    def tools(self) -> list[Tool]:
        """All tools. ApiError: the servers are starting."""
        if self._tools is None:
            raise ApiError(503, "The MCP servers are starting.", code="loading", headers={"Retry-After": "5"})
        return self._tools

    def consent(self, allowed: Sequence[str] = ()) -> Consent:
        """What the server's owner and a client allow; everything else is asked about."""
        return Consent([*self._allowed, *allowed], ask=True)

    def add(self, run: AgentRun) -> None:
        """Starts a run. ApiError 429: there are too many; in heavy mode each counts as its trajectories."""
        if sum(other.heavy for other in self._runs.values() if not other.is_over) >= self._most:
            message = f"{self._most} runs are at work already. Try again when one has ended."
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": "60"})
        self._runs[run.id] = run
        run.start()

    def find(self, run_id: str) -> AgentRun:
        """A run by its id. ApiError 404: there is none, or it was forgotten."""
        if run_id not in self._runs:
            raise ApiError(404, f"There is no run {run_id!r}.", param="id")
        return self._runs[run_id]

    def attach(self, run: AgentRun) -> None:
        """A reader of the run's events comes."""
        run.num_readers += 1
        if run.leaving is not None:
            run.leaving.cancel()

    def detach(self, run: AgentRun) -> None:
        """A reader goes. A run without any is stopped and forgotten after LEFT_S."""
        run.num_readers -= 1
        if run.num_readers == 0:
            run.leaving = asyncio.get_running_loop().call_later(LEFT_S, self._forget, run)

    def _forget(self, run: AgentRun) -> None:
        run.stop()
        del self._runs[run.id]

    def _close(self) -> None:
        for run in self._runs.values():
            run.join()
        if self._servers is not None:
            self._servers.close()
