"""Heavy mode of an agent: several runs of a task side by side, a vote, and one reflection on their outcomes.

Each run has a loop and a thread of its own, and may call tools that only read. The others begin when the first one
answers, so that the prompt is computed once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..errors import EngineDeadError, Interrupted, KimiError
from ..llm.agreement import Votes, final_answer, normalised, reflection, settles
from ..llm.results import HeavyReport, Trajectory, Usage
from .loop import UNDONE, Loop
from .records import Ended, Record
from .tool import Refused, Tool
from .transcript import Call, Transcript
from .watch import Reply, Watch

if TYPE_CHECKING:
    from ..llm import Piece

REFLECTED = "a reflection on several trajectories"
NOT_NEEDED = "the vote was decided without it"
REFUSED = (
    "{name} may change something, and this is one of several runs side by side, in which only tools that read may be "
    "called; it was not called. Go on without it."
)
JOIN_S = 5.0  # that runs may take to leave: a tool that is at work is not waited for longer


def reading(tool: Tool) -> Tool:
    """The tool as one of several runs may call it: it refuses, unless it is declared read-only."""
    if tool.read_only:
        return tool

    def refuse(arguments: object, call_id: str) -> object:
        raise Refused(REFUSED.format(name=tool.name))

    return replace(tool, call=refuse, read_only=True, needs_consent=False)


class Race:
    """Several runs of one task, until those that still work can change nothing about which answer comes first.

    loops: one a run. `go` ends when the vote is decided; `pause` may be called from any thread.
    """

    def __init__(self, runs: Sequence[Transcript], watch: Watch, make: Callable[[int, Transcript, Watch], Loop]):
        """make: the loop of a run, by its index and its watch. watch: sees how far they are, and decides for all."""
        self.runs, self._watch = runs, watch
        self._lock = threading.RLock()  # one thread at a time has the watch
        self._votes = Votes(len(runs))
        self._ended: dict[int, Ended] = {}  # in the order in which they ended
        self._errors: dict[int, KimiError] = {}
        self._is_decided = self._is_leaving = False
        self._num_pauses, self._replied_to = 0, -1
        self._reply = Reply()
        self._has_prompt = threading.Event()  # the first has computed it for all
        self._news: SimpleQueue[tuple[int, Ended | BaseException]] = SimpleQueue()
        self._loops = [make(index, run, _Follower(self, index)) for index, run in enumerate(runs)]
        self.seconds = 0.0
        self.by = "none"  # see HeavyReport

    def go(self) -> None:
        """Works until the vote is decided. Interrupted: its watch left it. EngineDeadError, OSError."""
        began = time.perf_counter()
        threads = [  # daemons, as a tool that hangs must not keep the program from ending
            threading.Thread(target=self._work, args=(index,), name=f"kimi-cpu run {index + 1}", daemon=True)
            for index in range(len(self._loops))
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._votes.is_decided:
                self._count(*self._news.get())
            self._is_decided = True
        finally:
            self._is_leaving = True
            for loop in self._loops:
                loop.pause()
            self.seconds = time.perf_counter() - began
            for thread in threads:
                thread.join(max(0.0, began + self.seconds + JOIN_S - time.perf_counter()))
        self.tell()

    def pause(self) -> None:
        """Pauses all; the watch is asked once how to go on."""
        self._num_pauses += 1
        for loop in self._loops:
            loop.pause()

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Final answers and how many gave each, in the words of the first, the most frequent first."""
        first = self._first
        return [(final_answer(first[key]), count) for key, count in self._votes.counts]

    @property
    def message(self) -> str | None:
        """What has the model reflect on the outcomes; None where there are not two."""
        first = self._first
        answers = [(first[key], count) for key, count in self._votes.counts]
        num = sum(count for _, count in answers)
        return reflection(num, answers) if num > 1 else None

    def unreflected(self) -> Ended:
        """The outcome where there is nothing to reflect on."""
        self.by = "majority" if self._votes.counts else "none"
        return self.most_frequent

    @property
    def most_frequent(self) -> Ended:
        """The first outcome with the most frequent answer, or the first that there is. Raises what failed where all
        did."""
        ended = [one for one in self._ended.values() if one.reason != NOT_NEEDED]
        if not ended:
            raise next(iter(self._errors.values()))
        key = self._votes.counts[0][0] if self._votes.counts else None
        return next((one for one in ended if _vote(one) == key), ended[0])

    def settle(self, content: str | None) -> str | None:
        """The answer: a reflection's text, or the most frequent one where that is none, or none of those given."""
        if content and settles(content, self._votes.counts):
            self.by = "aggregation"
            return content
        self.by = "majority"
        self.notice("the answer is the one that most runs gave, as the reflection on them is no answer.")
        return self.most_frequent.content

    def report(self, reflection: Usage | None, seconds: float) -> HeavyReport:
        """How the answer came. reflection: its tokens. seconds: those of it."""
        return HeavyReport(self.shown(), tuple(self.counts), self.by, reflection, self.seconds, seconds)

    def shown(self) -> tuple[Trajectory, ...]:
        """How far each run is."""
        return tuple(self._shown(index, run) for index, run in enumerate(self.runs))

    def tell(self) -> None:
        """Has the watch told how far they are."""
        with self._lock:
            self._watch.trajectories(self.shown())

    def notice(self, text: str) -> None:
        """Something that the owner should know."""
        with self._lock:
            self._watch.notice(text)

    def approve(self, call: Call, tool: Tool) -> bool:
        """Whether a call may be made."""
        with self._lock:
            return self._watch.approve(call, tool)

    def paused(self) -> Reply:
        """How to go on: the watch is asked by the first that pauses, and the others do the same."""
        with self._lock:
            if self._is_leaving:
                return Reply(leave=True)
            if self._replied_to != self._num_pauses:
                self._replied_to = self._num_pauses
                self._reply = self._watch.paused()
            return self._reply

    def answers(self, index: int) -> None:
        """A run has begun to answer."""
        if not index:
            self._has_prompt.set()

    @property
    def _first(self) -> dict[str, str]:
        """Votes, and the text of the first that gave each."""
        found: dict[str, str] = {}
        for ended in self._ended.values():
            key = _vote(ended)
            if key is not None and ended.content is not None:
                found.setdefault(key, ended.content)
        return found

    def _work(self, index: int) -> None:
        """A run, to its end."""
        try:
            if index:
                self._has_prompt.wait()
            self._news.put((index, self._loops[index].go()))
        except Interrupted as e:
            if self._is_decided:
                self._loops[index].record(Ended(reason=NOT_NEEDED, content=None))
            self._news.put((index, e))
        except BaseException as e:
            self._news.put((index, e))
        finally:
            self.answers(index)

    def _count(self, index: int, outcome: Ended | BaseException) -> None:
        """Counts a run that has ended. What is not of this run alone is raised."""
        if isinstance(outcome, Ended):
            self._ended[index] = outcome
            self._votes.add(_vote(outcome))
        elif isinstance(outcome, KimiError) and not isinstance(outcome, EngineDeadError | Interrupted):
            self._errors[index] = outcome
            self._votes.add(None)
        else:
            raise outcome
        self.tell()

    def _shown(self, index: int, run: Transcript) -> Trajectory:
        ended = self._ended.get(index)
        state, answer = "running" if not self._is_decided else "not needed", None
        if index in self._errors:
            state = "failed"
        elif ended is not None:
            answer = final_answer(ended.content) if _vote(ended) is not None and ended.content else None
            state = "answered" if answer else ended.reason
        return Trajectory(state, answer, run.generated_tokens, run.seconds)


class _Follower(Watch):
    """The watch of one run among several."""

    def __init__(self, race: Race, index: int):
        self._race, self._index = race, index

    def piece(self, piece: "Piece") -> None:
        if piece.token_ids:
            self._race.answers(self._index)

    def record(self, record: Record) -> None:
        self._race.tell()

    def notice(self, text: str) -> None:
        self._race.notice(text)

    def approve(self, call: Call, tool: Tool) -> bool:
        own = replace(call, id=f"{self._index + 1}/{call.id}")  # what is said of it must be of no other run's
        return self._race.approve(own, tool)

    def paused(self) -> Reply:
        return self._race.paused()


def _vote(ended: Ended) -> str | None:
    """The vote of a run: its final answer, unless it was cut off, or has none."""
    if not ended.content or ended.reason in (*UNDONE.values(), NOT_NEEDED):
        return None
    return normalised(final_answer(ended.content))
