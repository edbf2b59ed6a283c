"""A run so far: what its records add up to, whether they come as it goes or from its journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any

from . import records, repeats

JsonObject = dict[str, Any]
SHORT_CHARS = 200  # of a result that was shortened
SUMMARY = "The work on this so far, in your own words, as its messages no longer fit into the context:"


@dataclass(frozen=True)
class Call:
    """A call of the model's last turn that has no result yet. id: STEP.INDEX. has_begun: it may have been made."""

    id: str
    model_id: str
    name: str
    arguments: str
    has_begun: bool = False


@dataclass(slots=True)
class Entry:
    """A message of the next prompt. call: whose result it is. is_asked: its user asked it."""

    message: JsonObject
    call: str | None = None
    is_asked: bool = False


class Transcript:
    """The state of a run.

    begun: its first record, None before. entries: the messages of the next prompt. calls: those that wait for a result.
    ended: its last record, None while it goes on. last: why the next turn is the last, if it is. num_lost: turns since
    the last good one that were left out. finish_reason: of the last turn. looping: it was told that it runs in a loop,
    and goes on.
    """

    def __init__(self, given: Iterable[records.Record] = ()):
        self.begun: records.Begun | None = None
        self.ended: records.Ended | None = None
        self.entries: list[Entry] = []
        self.last: str | None = None
        self.num_steps = self.num_calls = self.num_lost = 0
        self.computed_tokens = self.generated_tokens = self.used_tokens = 0
        self.seconds = 0.0
        self.looping, self.finish_reason = False, ""
        self.returned: dict[str, records.Returned] = {}
        self._open: dict[str, Call] = {}
        self._repeats = repeats.Repeats()
        for record in given:
            self.add(record)

    @property
    def id(self) -> str:
        """Names the run."""
        return "" if self.begun is None else self.begun.run

    @property
    def answer(self) -> str | None:
        """The text of the last turn, if it was an answer to what was asked last."""
        message = self.entries[-1].message
        return message["content"] if message["role"] == "assistant" and not message.get("tool_calls") else None

    @property
    def messages(self) -> list[JsonObject]:
        """The messages of the next prompt, OpenAI's."""
        return [entry.message for entry in self.entries]

    @property
    def calls(self) -> list[Call]:
        """Calls without a result, in order."""
        return [call for call in self._open.values() if call.id not in self.returned]

    @property
    def last_turn(self) -> int:
        """The index in entries at which the model's last turn begins; their number when there is none."""
        places = reversed(range(len(self.entries)))
        return next((i for i in places if self.entries[i].message["role"] == "assistant"), len(self.entries))

    def long_results(self) -> list[str]:
        """Calls before the last turn whose results can be shortened."""
        old = self.entries[: self.last_turn]
        return [
            entry.call for entry in old if entry.call is not None and entry.message["content"] != self._short(entry)
        ]

    @singledispatchmethod
    def add(self, record: Any) -> None:
        """Goes on with a record."""
        raise TypeError(record)

    @add.register
    def _(self, record: records.Begun) -> None:
        self.begun = record
        if record.system:
            self.entries.append(Entry({"role": "system", "content": record.system}))
        self.entries += [Entry(message, is_asked=message["role"] == "user") for message in record.before]
        self.entries.append(Entry({"role": "user", "content": record.task}, is_asked=True))

    @add.register
    def _(self, record: records.Told) -> None:
        message = {"role": "user", "content": record.content}
        self.entries.append(Entry(message, is_asked=record.by == "user"))
        self.last = record.last
        self.ended, self.looping = None, False
        if record.by == "user":
            self.num_lost = 0

    @add.register
    def _(self, record: records.Answered) -> None:
        self.num_steps += 1
        self.seconds += record.prefill_s + record.decode_s
        self._spend(record.prompt_tokens, record.cached_tokens, record.completion_tokens)
        self.finish_reason = record.finish_reason
        if record.message is None:
            self.num_lost += 1
            self.used_tokens = record.prompt_tokens
            return
        self.num_lost = 0
        self.used_tokens = record.prompt_tokens + record.completion_tokens
        self.entries.append(Entry(record.message))
        for index, call in enumerate(record.message.get("tool_calls") or ()):
            name = f"{record.step}.{index}"
            function = call["function"]
            self._open[name] = Call(name, call["id"], function["name"], function["arguments"])
        self.num_calls += len(self._open)

    @add.register
    def _(self, record: records.Called) -> None:
        call = self._open[record.call]
        self._open[call.id] = Call(call.id, call.model_id, call.name, call.arguments, has_begun=True)

    @add.register
    def _(self, record: records.Returned) -> None:
        self.returned[record.call] = record
        if not self.calls:
            self._close_turn()

    @add.register
    def _(self, record: records.Shortened) -> None:
        for entry in self.entries:
            if entry.call in record.calls:
                entry.message = entry.message | {"content": self._short(entry)}

    @add.register
    def _(self, record: records.Summarised) -> None:
        self.seconds += record.seconds
        self._spend(record.prompt_tokens, record.cached_tokens, record.completion_tokens)
        past, kept = self.entries[: self.last_turn], self.entries[self.last_turn :]
        stays = [entry for entry in past if entry.is_asked or entry.message["role"] == "system"]
        summary = {"role": "user", "content": f"{SUMMARY}\n\n{record.content}"}
        self.entries = [*stays, Entry(summary), *kept]

    @add.register
    def _(self, record: records.Ended) -> None:
        if record.content is not None and record.content != self.answer:  # another stands for the last turn's text
            if self.answer is not None:
                self.entries.pop()
            self.entries.append(Entry({"role": "assistant", "content": record.content}))
        self.ended, self.last = record, None

    def _spend(self, prompt: int, cached: int, generated: int) -> None:
        self.computed_tokens += prompt - cached
        self.generated_tokens += generated

    def _close_turn(self) -> None:
        """All calls of the last turn have results, which become messages in the order of the calls."""
        results = [self.returned[call] for call in self._open]
        self.seconds += max(result.seconds for result in results)
        for call, result in zip(self._open.values(), results, strict=True):
            times = self._repeats.add(call.name, call.arguments, result.content)
            note = f"\n\n{repeats.NOTE.format(times=times)}" if times >= repeats.TOLD_AT else ""
            self.looping = self.looping or times > repeats.TOLD_AT
            message = {"role": "tool", "tool_call_id": call.model_id, "content": result.content + note}
            self.entries.append(Entry(message, call.id))
        self._open = {}

    def _short(self, entry: Entry) -> str:
        """The beginning of a result, with the way to the rest of it; a short result is as it was."""
        content = entry.message["content"]
        if len(content) <= 2 * SHORT_CHARS or entry.call is None:
            return content
        return f'{content[:SHORT_CHARS]}…\n[Shortened to save room; read_result(call="{entry.call}") shows it again.]'
