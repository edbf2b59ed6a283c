"""A run of an agent for a client: what happens becomes events, and calls wait for the client's consent."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from ..agent import Agent, Call, Outcome, Reply, Tool, Watch
from ..agent.consent import Consent
from ..agent.loop import UNKNOWN
from ..agent.records import Record, Returned, line_of
from ..agent.transcript import Transcript
from ..errors import Interrupted
from ..llm import Piece, Trajectory
from ..llm.openai import heavy_object, trajectories_object
from .errors import ApiError, error_body
from .event_log import EventLog
from .events import event

STOPPED = "stopped"
FIGURES = ("steps", "calls", "computed_tokens", "generated_tokens", "seconds")  # of all trajectories together
JOIN_S = 5.0  # for the thread of a run that was stopped; its tools may take longer
Decision = Literal["allow", "always", "deny"]


class Waiting(NamedTuple):
    """A call that waits for consent."""

    call: Call
    tool: Tool
    may_run: "Future[bool]"


class AgentRun(Watch):
    """One run, in a thread of its own.

    log: its events, the records of its journal among them. is_over: nothing more happens. heavy: trajectories.
    num_readers: of the log; leaving: ends the run when there is none for long.
    """

    def __init__(
        self, run_id: str, agent: Agent, consent: Consent, before: Sequence[dict[str, Any]], task: str, heavy: int = 1
    ):
        """before: the messages before the task."""
        self.id, self.log, self.is_over, self.heavy = run_id, EventLog(), False, heavy
        self.num_readers = 0
        self.leaving: asyncio.TimerHandle | None = None
        self._agent, self._consent, self._before, self._task = agent, consent, list(before), task
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="kimi-cpu agent run", daemon=True)
        self._waiting: Waiting | None = None
        self._answers_now = False
        self._transcript = Transcript()
        self._content = self._reasoning = ""  # of the turn that is being generated

    def start(self) -> None:
        """Begins to work."""
        self._say("run", id=self.id)
        self._thread.start()

    def decide(self, call_id: str, decision: Decision) -> None:
        """Lets the call that waits run, its tool always in this run, or not at all. ApiError: it does not wait, perhaps
        as somebody else has decided."""
        waiting = self._waiting
        if waiting is None or waiting.call.id != call_id:
            raise ApiError(409, f"The call {call_id!r} does not wait for a decision.", param="call")
        if decision == "always":
            self._consent.allow(waiting.tool.name)
        self._settle(decision != "deny")

    def answer_now(self) -> None:
        """Has the model answer with what it has; a call that waits is not made."""
        self._answers_now = True
        self._agent.pause()
        self._settle(False)

    def stop(self, error: Exception | None = None) -> None:
        """Ends the run at once: a turn in progress is ended, and no further call is made; a call in progress goes on
        without anybody who listens. error: what the client is told instead of an outcome."""
        self._end(STOPPED, error)
        self._agent.pause()
        self._settle(False)

    def join(self) -> None:
        """Waits until the thread of a stopped run has ended, JOIN_S seconds at most. For a thread beside the event
        loop."""
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)

    # In the thread of the run

    def piece(self, piece: Piece) -> None:
        """Becomes an event."""
        self._tell(self._on_piece, piece)

    def record(self, record: Record) -> None:
        """Becomes an event."""
        self._pause_if_over()
        self._tell(self._on_record, record)

    def trajectories(self, trajectories: tuple[Trajectory, ...]) -> None:
        """Becomes an event."""
        self._pause_if_over()
        self._tell(self._on_trajectories, trajectories)

    def notice(self, text: str) -> None:
        """Becomes an event."""
        self._tell(self._on_notice, text)

    def approve(self, call: Call, tool: Tool) -> bool:
        """Waits for the client's decision where the tool is not allowed yet."""
        if self.is_over:
            return False
        if self._consent.covers(tool):
            return True
        waiting = Waiting(call, tool, Future())
        self._tell(self._on_waiting, waiting)
        return waiting.may_run.result()

    def paused(self) -> Reply:
        """Leaves a run that was stopped; otherwise the model is to answer now."""
        return Reply(leave=self.is_over, answer_now=self._answers_now)

    def _work(self) -> None:
        try:
            outcome = self._agent.run(self._task, watch=self, before=self._before, heavy=self.heavy)
            self._tell(self._end, outcome.reason, None, outcome)
        except Interrupted:
            self._tell(self._end, STOPPED)
        except Exception as e:
            self._tell(self._end, STOPPED, e)

    def _pause_if_over(self) -> None:
        """A run may have been stopped before there was anything to pause."""
        if self.is_over:
            self._agent.pause()

    def _tell(self, act: Callable[..., None], *arguments: Any) -> None:
        """Has the event loop call act(*arguments)."""
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(act, *arguments)

    # In the event loop

    def _say(self, kind: str, is_piece: bool = False, **fields: Any) -> None:
        self.log.add(event({"kind": kind} | fields), is_piece)

    def _on_piece(self, piece: Piece) -> None:
        self._content += piece.content
        self._reasoning += piece.reasoning_content
        if piece.prompt_progress is not None:
            processed, total = piece.prompt_progress
            self._say("progress", is_piece=True, processed=processed, total=total)
        elif piece.content or piece.reasoning_content or piece.tool_calls:
            self._say(
                "piece",
                is_piece=True,
                content=piece.content,
                reasoning_content=piece.reasoning_content,
                tool_calls=piece.tool_calls,
            )

    def _on_record(self, record: Record) -> None:
        if self.is_over:
            return
        self._transcript.add(record)
        if record.kind in ("answered", "told"):
            self._content = self._reasoning = ""
        self.log.add(b"data: " + line_of(record) + b"\n")

    def _on_trajectories(self, trajectories: tuple[Trajectory, ...]) -> None:
        self._say("trajectories", is_piece=True, **trajectories_object(trajectories))

    def _on_notice(self, text: str) -> None:
        self._say("notice", text=text)

    def _on_waiting(self, waiting: Waiting) -> None:
        self._waiting = waiting
        if self.is_over:
            self._settle(False)
        call = waiting.call
        self._say("waiting", call=call.id, name=call.name, arguments=call.arguments)

    def _settle(self, may_run: bool) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.may_run.set_result(may_run)

    def _end(self, reason: str, error: Exception | None = None, outcome: Outcome | None = None) -> None:
        if self.is_over:
            return
        self.is_over = True
        if error is None:
            self._say("outcome", reason=reason, **self._outcome(outcome))
        else:
            self.log.add(event(error_body(error)))
        self.log.close()

    def _outcome(self, outcome: Outcome | None) -> dict[str, Any]:
        """What came of it. outcome: None when it was stopped. messages: what the next prompt has behind the messages
        that this run was given or, where `replaces` is true, in their place."""
        run = self._transcript
        for call in run.calls:
            run.add(Returned(call=call.id, name=call.name, status="unknown", content=UNKNOWN, chars=len(UNKNOWN)))
        given = [*self._before, {"role": "user", "content": self._task}]
        messages = run.messages or given
        if self._content:  # as far as it came
            messages.append({"role": "assistant", "content": self._content, "reasoning_content": self._reasoning})
        replaces = messages[: len(given)] != given
        told = {
            "content": None if run.ended is None else run.ended.content,
            "steps": run.num_steps,
            "calls": run.num_calls,
            "computed_tokens": run.computed_tokens,
            "generated_tokens": run.generated_tokens,
            "seconds": run.seconds,
            "messages": messages if replaces else messages[len(given) :],
            "replaces": replaces,
        }
        if outcome is None or outcome.heavy is None:
            return told
        return told | {name: getattr(outcome, name) for name in FIGURES} | heavy_object(outcome.heavy)
