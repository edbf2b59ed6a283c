"""Agent: a model with tools, and what comes of the tasks that it is given."""

import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from ..config.fields import HEAVY, NUM_SEEDS
from ..errors import ConfigError, ContextOverflow, RequestError, shown
from ..llm.results import HeavyReport, Usage
from .enforceable import enforceable
from .heavy import REFLECTED, Race, reading
from .journal import Journal
from .limits import MAX_STEPS, Limits
from .loop import Loop, Means
from .records import Begun, Ended, Told
from .results import READ_ON
from .tool import Tool, tool_of
from .transcript import Transcript
from .watch import Watch

if TYPE_CHECKING:
    from ..llm import ChatKeywords, TextModel
    from .server_config import Config


@dataclass(frozen=True)
class Outcome:
    """What came of a run. content: the answer, None where there is none. reason: "answered", or in words why the answer
    came early or not at all. steps: turns of the model; calls: of tools. computed_tokens: of prompts, those not found
    in the cache; generated_tokens: of turns. seconds: of the model and of tools. messages: all that a next prompt would
    begin with. heavy: how several runs came to the answer, in heavy mode; the numbers are then those of all."""

    content: str | None
    reason: str
    steps: int
    calls: int
    computed_tokens: int
    generated_tokens: int
    seconds: float
    messages: list[dict[str, Any]] = field(repr=False)
    heavy: HeavyReport | None = field(default=None, repr=False)


class Agent:
    """A model that works on tasks with tools.

    Its turns see the reasoning of the task so far, as Kimi's template keeps it; several calls of a turn are made at the
    same time. A run has a limit of steps and perhaps of time or tokens; at a limit the model is asked to answer with
    what it has. Use one from one thread at a time; `pause` may be called from any.
    """

    def __init__(
        self,
        llm: "TextModel",
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
        if self._options.pop("heavy", None) not in (None, 1):
            raise ConfigError("heavy is said of a run, not of the agent: agent.run(task, heavy=8).")
        self._limits = Limits.of(max_steps, budget)
        self.tools = [tool_of(given) for given in tools]
        _by_name(self.tools)
        self._working: Loop | Race | None = None

    def run(
        self,
        task: str | None = None,
        resume: str | os.PathLike[str] | None = None,
        watch: Watch | None = None,
        before: Sequence[dict[str, Any]] = (),
        heavy: int = 1,
    ) -> Outcome:
        """Works on a task to its end.

        resume: a file that keeps the run, and beside it what was computed and long results; a run that is there goes on
        where it was stopped, even by kill -9: a call with a result is not made again, one without asks `watch`, unless
        its tool may be called again. The task of a run that goes on need not be given; another one after its end is
        worked on as well, with all that was said before. watch: sees and decides. before: messages, OpenAI's, of the
        conversation that a new run goes on with. heavy: so many runs side by side, which may only call tools that are
        declared read-only, until enough of them agree; then the model reflects on their outcomes.

        RequestError, ContextOverflow, ConfigError: it cannot be done. Interrupted: the run was left. OSError.
        """
        watch, heavy = watch or Watch(), HEAVY[0].checked(heavy)
        with ExitStack() as stack:
            journal, folder = _opened(stack, None if resume is None else Path(resume))
            run = Transcript(() if journal is None else journal.records)
            means = Means(
                self._llm,
                _by_name([*self.tools, *self._started(stack, watch)]),
                self._limits,
                self._options,
                watch,
            )
            loop = self._working = Loop(means, run, journal, folder)
            try:
                self._begin(loop, run, task, before, sorted(means.tools), watch)
                if heavy > 1 and run.ended is None:
                    race = self._race(stack, means, run, journal, heavy)
                    return self._reflect(loop, run, race)
                return _outcome(loop.go(), run)
            finally:
                self._working = None

    def pause(self) -> None:
        """Has the run paused, which asks its watch how to go on. From any thread, or a signal handler."""
        if self._working is not None:
            self._working.pause()

    def _race(self, stack: ExitStack, means: Means, run: Transcript, journal: Journal | None, count: int) -> Race:
        """count runs of the task at the end of a run, each with a journal of its own beside that of the run."""
        last = run.entries[-1]
        if not last.is_asked and run.last != REFLECTED:
            raise ConfigError("The file holds a run that works alone; resume it without heavy, or name another file.")
        number = 0 if journal is None else sum(isinstance(record, Ended) for record in journal.records)
        folder = None if journal is None else journal.path.with_name(f"{journal.path.name}.heavy")
        kept = [_opened(stack, folder and folder / f"{number}.{index}") for index in range(count)]
        runs = [Transcript(() if own is None else own.records) for own, _ in kept]
        limits = replace(means.limits, tokens=means.limits.tokens and max(means.limits.tokens // count, 1))
        tools = {name: reading(tool) for name, tool in means.tools.items()}

        def make(index: int, one: Transcript, watch: Watch) -> Loop:
            seed = means.options.get("seed")
            options = means.options if seed is None else means.options | {"seed": (seed + index) % NUM_SEEDS}
            loop = Loop(Means(means.llm, tools, limits, options, watch), one, *kept[index])
            if one.begun is None:
                assert run.begun is not None
                *before, asked = run.messages
                loop.record(
                    replace(run.begun, run=f"{run.id}.{index}", task=asked["content"], system=None, before=before)
                )
            return loop

        return Race(runs, means.watch, make)

    def _reflect(self, loop: Loop, run: Transcript, race: Race) -> Outcome:
        """The outcome of several runs, which are worked on to their vote; then the model reflects on them."""
        self._working = race
        race.go()
        self._working = loop
        computed, generated, seconds = run.computed_tokens, run.generated_tokens, run.seconds
        if race.message is None:
            best = race.unreflected()
            loop.record(Ended(reason=best.reason, content=best.content))
        elif run.last != REFLECTED:
            loop.record(Told(content=race.message, by="program", last=REFLECTED))
        try:
            ended = loop.go(race.settle)
        except ContextOverflow:
            ended = Ended(reason=REFLECTED, content=race.settle(None))
            loop.record(ended)
        generated = run.generated_tokens - generated
        prompt = run.used_tokens - generated
        reflection = Usage(prompt, generated, prompt - run.computed_tokens + computed) if generated else None
        return _outcome(ended, run, race.runs, race.report(reflection, run.seconds - seconds))

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


def _opened(stack: ExitStack, path: Path | None) -> tuple[Journal | None, Path]:
    """The journal in a file, and the folder of results that are too long to be shown; both are gone with the stack
    where no file is given."""
    if path is None:
        return None, Path(stack.enter_context(TemporaryDirectory(prefix="kimi-cpu-agent-")))
    journal = stack.enter_context(Journal(path))
    return journal, journal.path.with_name(journal.path.name + ".results")


def _outcome(
    ended: Ended, run: Transcript, beside: Sequence[Transcript] = (), report: HeavyReport | None = None
) -> Outcome:
    """What came of a run, or of several side by side and the reflection on them, which is the run."""
    runs = [run, *beside]
    return Outcome(
        ended.content,
        "answered" if ended.reason == REFLECTED else ended.reason,
        sum(one.num_steps for one in runs),
        sum(one.num_calls for one in runs),
        sum(one.computed_tokens for one in runs),
        sum(one.generated_tokens for one in runs),
        run.seconds + max((one.seconds for one in beside), default=0.0),
        run.messages,
        report,
    )


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    """ConfigError: two tools have one name."""
    names = [READ_ON, *(tool.name for tool in tools)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"Two tools have the name {twice}; give each a name of its own.")
    return {tool.name: tool for tool in tools}
