"""Agent: a model with tools, and what comes of the tasks that it is given."""

import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import ConfigError, RequestError, shown
from .enforceable import enforceable
from .journal import Journal
from .limits import Limits
from .loop import Loop, Means
from .records import Begun, Told
from .results import READ_ON
from .tool import Tool, tool_of
from .transcript import Transcript
from .watch import Watch

if TYPE_CHECKING:
    from ..llm import LLM, ChatKeywords
    from .servers import Config

MAX_STEPS = 300


@dataclass(frozen=True)
class Outcome:
    """What came of a run. content: the answer, None where there is none. reason: "answered", or in words why the answer
    came early or not at all. steps: turns of the model; calls: of tools. computed_tokens: of prompts, those not found
    in the cache; generated_tokens: of turns. seconds: of the model and of tools. messages: all that a next prompt would
    begin with."""

    content: str | None
    reason: str
    steps: int
    calls: int
    computed_tokens: int
    generated_tokens: int
    seconds: float
    messages: list[dict[str, Any]] = field(repr=False)


class Agent:
    """A model that works on tasks with tools.

    Its turns see the reasoning of the task so far, as Kimi's template keeps it; several calls of a turn are made at the
    same time. A run has a limit of steps and perhaps of time or tokens; at a limit the model is asked to answer with
    what it has. Use one from one thread at a time; `pause` may be called from any.
    """

    def __init__(
        self,
        llm: "LLM",
        tools: Sequence[Tool | Callable[..., object]] = (),
        *,
        mcp: "Config | None" = None,
        system: str | None = None,
        max_steps: int = MAX_STEPS,
        budget: str | Iterable[str] | None = None,
        **options: Unpack["ChatKeywords"],
    ):
        """tools: functions, whose names, parameters and docstrings the model is told, or Tools. mcp: MCP servers, which
        run as long as a run: a file, or a dictionary, with `mcpServers`. budget: "2h", "200000 tokens", or both.
        options: keywords of LLM.chat, for each turn. ConfigError: a tool or a limit cannot be."""
        self._llm, self._mcp, self._system, self._options = llm, mcp, system, dict(options)
        self._limits = Limits.of(max_steps, budget)
        self.tools = [tool_of(given) for given in tools]
        _by_name(self.tools)
        self._loop: Loop | None = None

    def run(
        self,
        task: str | None = None,
        resume: str | os.PathLike[str] | None = None,
        watch: Watch | None = None,
        before: Sequence[dict[str, Any]] = (),
    ) -> Outcome:
        """Works on a task to its end.

        resume: a file that keeps the run, and beside it what was computed and long results; a run that is there goes on
        where it was stopped, even by kill -9: a call with a result is not made again, one without asks `watch`, unless
        its tool may be called again. The task of a run that goes on need not be given; another one after its end is
        worked on as well, with all that was said before. watch: sees and decides. before: messages, OpenAI's, of the
        conversation that a new run goes on with.

        RequestError, ContextOverflow, ConfigError: it cannot be done. Interrupted: the run was left. OSError.
        """
        watch = watch or Watch()
        with ExitStack() as stack:
            journal = None if resume is None else stack.enter_context(Journal(Path(resume)))
            if journal is None:
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="kimi-cpu-agent-")))
            else:
                folder = journal.path.with_name(journal.path.name + ".results")
            run = Transcript(() if journal is None else journal.records)
            tools = _by_name([*self.tools, *self._started(stack, watch)])
            self._loop = Loop(Means(self._llm, tools, self._limits, self._options, watch), run, journal, folder)
            try:
                self._begin(self._loop, run, task, before, sorted(tools), watch)
                ended = self._loop.go()
            finally:
                self._loop = None
        return Outcome(
            ended.content,
            ended.reason,
            run.num_steps,
            run.num_calls,
            run.computed_tokens,
            run.generated_tokens,
            run.seconds,
            run.messages,
        )

    def pause(self) -> None:
        """Has the run paused, which asks its watch how to go on. From any thread, or a signal handler."""
        if self._loop is not None:
            self._loop.pause()

    def _started(self, stack: ExitStack, watch: Watch) -> list[Tool]:
        """The tools of MCP servers, which run until the stack ends."""
        if self._mcp is None:
            return []
        from .servers import Servers  # which takes long

        servers = stack.enter_context(Servers(self._mcp))
        for notice in servers.notices:
            watch.notice(notice)
        return [enforceable(self._llm, tool, watch.notice) for tool in servers.tools if watch.offers(tool)]

    def _begin(
        self,
        loop: Loop,
        run: Transcript,
        task: str | None,
        before: Sequence[dict[str, Any]],
        names: list[str],
        watch: Watch,
    ) -> None:
        """Records what is asked, where it is new."""
        if run.begun is None:
            if not task:
                raise RequestError("There is no task; give one.")
            model = self._llm.model_hash
            new = uuid.uuid4().hex[:12]
            loop.record(Begun(run=new, task=task, system=self._system, before=list(before), model=model, tools=names))
            return
        if names != run.begun.tools:
            watch.notice(f"the run had other tools before: {', '.join(run.begun.tools) or 'none'}.")
        if task is None or task == run.begun.task:
            return
        if run.ended is None:
            raise ConfigError(
                f"The file holds a run that has not ended, on {shown(run.begun.task)}; resume it without another task, "
                "or name another file."
            )
        loop.record(Told(content=task, by="user"))


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    """ConfigError: two tools have one name."""
    names = [READ_ON, *(tool.name for tool in tools)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"Two tools have the name {twice}; give each a name of its own.")
    return {tool.name: tool for tool in tools}
