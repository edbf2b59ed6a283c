"""The loop of a run: the model answers, its calls are made, and it is asked again, until it calls no tool.

Everything that the loop knows is in the transcript, so that a run that was stopped at any place goes on there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..chat.parser import SECTION_BEGIN
from ..errors import Interrupted, SessionError
from ..llm.turn import NEVER
from .calls import run_calls
from .journal import Journal
from .limits import Limits
from .records import Answered, Called, Ended, Record, Returned, Shortened, Summarised, Told
from .results import Results
from .room import ENOUGH, Room
from .tool import Tool
from .transcript import Call, Transcript
from .watch import Watch

if TYPE_CHECKING:
    from ..llm import ChatCompletion, Generation, TextModel

MAX_LOST = 3  # turns in a row without an answer or a call
LOOP = "a loop of equal calls with equal results"
LOST = "turns in a row were cut off, empty or in a circle"
FULL = "the context is full"
REPETITION = "repetition"  # stop_reason of a turn that was ended because it ran in a circle
UNDONE = {
    "length": "cut off",
    REPETITION: "the answer ran in a circle",
}  # finish_reason of an answer -> reason of a run
ASKED = "asked to answer now"
DENIED = "Error: the user has not allowed this call; it was not made."
UNKNOWN = "Error: the program was stopped during this call. It may have been carried out, or not."
LOST_TURN = {  # finish_reason of a turn that brought nothing -> what the model is told
    "length": "Your turn was cut off at its limit of tokens, and is lost. Think less: make one call, or answer.",
    REPETITION: "Your turn said the same again and again, was ended, and is lost. Go on in another way, or answer.",
}
EMPTY = "Your turn was empty. Call a tool, or answer."


@dataclass(frozen=True)
class Means:
    """What a run has: the model, tools by name, limits, how turns are drawn, and who watches it."""

    llm: "TextModel"
    tools: dict[str, Tool]
    limits: Limits
    options: dict[str, Any]
    watch: Watch


class Loop:
    """One run in this process."""

    def __init__(self, means: Means, run: Transcript, journal: Journal | None, folder: Path):
        """folder: of results that are too long to be shown whole."""
        self._means, self._run, self._journal = means, run, journal
        self._llm, self._watch = means.llm, means.watch
        self._results = Results(means.llm, run, folder)
        reading = self._results.reading_tool()
        self._tools = {**means.tools, reading.name: reading}
        self._declarations = [tool.declaration() for tool in self._tools.values()]
        self._room = Room(means.llm, self._declarations)
        self._session_path = None if journal is None else journal.path.with_name(journal.path.name + ".session")
        self._session = means.llm.session()
        self._handle: Generation[ChatCompletion] | None = None
        self._begun_ids: tuple[int, ...] = ()  # of a turn that was paused
        self._pause_wanted = False
        if self._session_path is not None and self._session_path.exists():
            try:
                self._session = means.llm.load_session(self._session_path)
            except SessionError as e:
                self._watch.notice(str(e))

    def pause(self) -> None:
        """Pauses the run as soon as it can: at once while the model answers, else when the calls have results. From any
        thread, or a signal handler."""
        self._pause_wanted = True
        if self._handle is not None:
            self._handle.cancel()

    def record(self, *records: Record) -> None:
        """Something happened: it is on the disk before anything rests on it."""
        if self._journal is not None:
            self._journal.append(records)
        for record in records:
            self._run.add(record)
            self._watch.record(record)

    def go(self, settle: Callable[[str | None], str | None] = lambda answer: answer) -> Ended:
        """Runs to the end. settle: makes the run's answer of the last turn's text, None where there is none.
        Interrupted: its watch left it. OSError: the journal cannot be written."""
        while self._run.ended is None:
            if self._pause_wanted:
                self._paused()
            elif self._run.calls:
                self._make_calls()
            elif self._run.answer is not None:
                reason = self._run.last or UNDONE.get(self._run.finish_reason, "answered")
                self.record(Ended(reason=reason, content=settle(self._run.answer)))
            elif self._run.num_lost >= MAX_LOST or (self._run.last and self._run.num_lost):
                self.record(Ended(reason=self._run.last or LOST, content=settle(None)))
            elif self._make_room():
                self._ask()
            else:
                self.record(Ended(reason=FULL, content=settle(None)))
        return self._run.ended

    def _paused(self) -> None:
        self._pause_wanted = False
        reply = self._watch.paused()
        if reply.leave:
            raise Interrupted("The run was left; resumed, it goes on at the same step.")
        if reply.tell:
            self._begun_ids = ()
            self.record(Told(content=reply.tell, by="user"))
        if reply.answer_now:
            self._begun_ids = ()
            self._ask_to_answer(ASKED)

    def _ask_to_answer(self, reason: str) -> None:
        content = f"[The run comes to its end: {reason}.] Call no more tools; answer now with what you have."
        self.record(Told(content=content, by="program", last=reason))

    def _make_room(self) -> bool:
        """Sees to it that the next turn fits in the context; False if that cannot be done."""
        if not self._room.is_short(self._run):
            return True
        if calls := self._run.long_results():
            self.record(Shortened(calls=calls))
            if self._room.tokens(self._run) <= self._room.limit * ENOUGH:
                return True
        if self._room.can_summarise(self._run) and not self._summarise():
            return False
        return self._room.tokens(self._run) <= self._room.limit

    def _summarise(self) -> bool:
        options = self._without_calls() | {"max_tokens": self._room.summary_tokens, "no_think": True}
        messages = self._room.to_summarise(self._run)
        turn = self._llm.chat(messages, self._declarations, self._session, **options)
        if not turn.content:
            return False
        self._save_session()
        self.record(
            Summarised(
                content=turn.content,
                prompt_tokens=turn.usage.prompt_tokens,
                cached_tokens=turn.usage.cached_tokens,
                completion_tokens=turn.usage.completion_tokens,
                seconds=turn.timings.prefill_s + turn.timings.decode_s,
            )
        )
        return True

    def _ask(self) -> None:
        """The model's next turn."""
        reason = LOOP if self._run.looping else self._means.limits.reached(self._run)
        if self._run.last is None and reason is not None:
            self._ask_to_answer(reason)
        options = self._means.options if self._run.last is None else self._without_calls()
        if self._run.last == ASKED:
            options = options | {"no_think": True}
        most = min(options.get("max_tokens") or self._room.turn_tokens, self._room.turn_tokens)
        messages, begun = self._run.messages, self._begun_ids
        turn = self._turn(messages, begun, options | {"max_tokens": most})
        if turn.finish_reason == "cancelled":
            self._begun_ids = turn.token_ids
            return
        self._begun_ids = ()
        self._save_session()  # before the turn is on record: a run that is killed in between computes nothing again
        is_lost = not turn.tool_calls and not turn.content
        self.record(
            Answered(
                step=self._run.num_steps + 1,
                message=None if is_lost else turn.message(),
                finish_reason=turn.stop_reason or turn.finish_reason,
                prompt_tokens=turn.usage.prompt_tokens,
                cached_tokens=turn.usage.cached_tokens,
                completion_tokens=turn.usage.completion_tokens,
                reasoning_tokens=turn.usage.reasoning_tokens,
                prefill_s=turn.timings.prefill_s,
                decode_s=turn.timings.decode_s,
            )
        )
        if is_lost and self._run.last is None and self._run.num_lost < MAX_LOST:
            self.record(Told(content=LOST_TURN.get(self._run.finish_reason, EMPTY), by="program"))

    def _turn(self, messages: list[dict[str, Any]], begun: tuple[int, ...], options: Any) -> "ChatCompletion":
        """A turn, whose pieces are shown as they come. begun: ids of it that were generated before a pause."""
        handle = self._llm.submit(messages, self._declarations, self._session, resume=begun, **options)
        self._handle = handle
        try:
            if self._pause_wanted:
                handle.cancel()
            seen = 0
            for piece in handle:
                seen += len(piece.token_ids)
                if seen > len(begun) or not piece.token_ids:
                    self._watch.piece(piece)
            for warning in (turn := handle.result()).warnings:
                self._watch.notice(warning)
            return turn
        finally:
            self._handle = None
            handle.cancel()

    def _without_calls(self) -> dict[str, Any]:
        """Options of a turn that calls no tool. The tools stay declared: without them the whole prompt would be another
        one, and computed anew."""
        options: dict[str, Any] = self._means.options | {"tool_choice": "auto"}
        ids = self._llm.tokenize(SECTION_BEGIN)
        if len(ids) == 1:
            options["logit_bias"] = dict(options.get("logit_bias") or {}) | {ids[0]: NEVER}
        return options

    def _save_session(self) -> None:
        if self._session_path is not None:
            self._session.save(self._session_path)

    def _make_calls(self) -> None:
        """Makes the calls that wait for a result, all at the same time."""
        calls, due = self._run.calls, []
        for call in calls:
            tool = self._tools.get(call.name)
            refused = self._refused(call, tool)
            if refused is not None:
                self.record(refused)
            elif tool is not None:
                due.append((call, tool, f"{self._run.id}.{call.id}"))
        if not due:
            return
        new = [
            Called(call=call.id, name=call.name, arguments=call.arguments) for call, _, _ in due if not call.has_begun
        ]
        if new:
            self.record(*new)
        for result in run_calls(due):
            self.record(self._results.returned(result.call, result.status, result.text, result.seconds, len(calls)))

    def _refused(self, call: Call, tool: Tool | None) -> Returned | None:
        """The result of a call that is not to be made; None for one that is."""
        if call.has_begun and (tool is None or not tool.repeatable) and not self._watch.unfinished(call, tool):
            return self._results.returned(call, "unknown", UNKNOWN, 0.0)
        if tool is None:
            known = ", ".join(self._tools)
            return self._results.returned(
                call, "failed", f"Error: there is no tool {call.name}; there are {known}.", 0.0
            )
        if not call.has_begun and not self._watch.approve(call, tool):
            return self._results.returned(call, "denied", DENIED, 0.0)
        return None
