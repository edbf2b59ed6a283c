"""A run whose tool ends its process with -9, between its effect and its result: python killed.py RUN MADE KIND.

KIND is that of the tool: "plain", or "idempotent", which takes the id of its call. The second of three calls kills.
"""

import os
import signal
import sys
from pathlib import Path

from kimi_cpu.agent import Agent
from tests.agent.fake import FakeLLM, Turn, call


def tool_of(kind, made, kills=False):
    """A tool that adds a line to a file."""

    def act(x: int, call_id: str = "") -> str:
        lines = made.read_text().splitlines() if made.exists() else []
        line = f"{x} {call_id.partition('.')[2]}".strip()
        if not call_id or line not in lines:
            made.write_text("".join(f"{known}\n" for known in [*lines, line]))
        if kills and x == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{x} is added"

    def plain(x: int) -> str:
        return act(x)

    chosen = act if kind == "idempotent" else plain
    chosen.__name__ = "act"
    return chosen


def script(first=1):
    """Three calls, from the first-th on, and an answer."""
    return [*(call("act", x=x) for x in range(first, 4)), Turn("done")]


if __name__ == "__main__":
    run, made, kind = sys.argv[1:]
    Agent(FakeLLM(*script()), [tool_of(kind, Path(made), kills=True)]).run("Go", resume=Path(run))
