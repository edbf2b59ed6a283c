"""Heavy mode: several trajectories of a prompt, decoded as one batch, a vote, and one reflection on their outcomes."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..errors import EngineDeadError, KimiError
from .agreement import Votes, final_answer, normalised, reflection, settles
from .generation import Generation
from .reading import CANCELLED
from .results import ChatCompletion, HeavyReport, Piece, Timings, Trajectory, Usage, chat_completion

CHANGED = "changed"  # something came of a trajectory or of the reflection
STATES = {"stop": "answered", "tool_calls": "calls", "length": "cut off", CANCELLED: "cancelled"}


class HeavyGeneration(Generation[ChatCompletion]):
    """The answer of heavy mode on its way.

    Trajectories vote in the order of their tokens, whatever the order in which they are read, so that the same ones
    have the same vote. Once those that still run can change nothing about which answer comes first, they are ended, and
    the model reflects on the outcomes of the others. Where at least two agree, the content of the reflection is held
    back until it is known to say one of the answers that were given; otherwise the most frequent one stands. All of
    this is done by who reads the handle, but for the beginning of the reflection.
    """

    def __init__(
        self,
        trajectories: Sequence[Generation[ChatCompletion]],
        reflect: Callable[[str], Generation[ChatCompletion]],
        done: Callable[[ChatCompletion], None],
    ):
        """reflect: begins the turn behind one more message of the user. done: called with the answer when it has
        ended."""
        super().__init__()
        self._tracks = [_Track(handle) for handle in trajectories]
        self._reflect, self._done = reflect, done
        self._votes, self._voters = Votes(len(trajectories)), list[_Track]()
        self._winner: _Track | None = None  # the first with the most frequent answer
        self._reflection: _Track | None = None
        self._held: list[Piece] = []
        self._began_s = time.perf_counter()
        self._voted_s: float | None = None
        self._num_shown = 0  # tokens of all when progress was told last
        self._is_cancelled = self._is_thinking_over = False
        for handle in trajectories:
            handle.listen(partial(self._outbox.put, CHANGED))

    @property
    def num_prompt_tokens(self) -> int:
        return self._tracks[0].handle.num_prompt_tokens

    def cancel(self) -> None:
        if not self._is_over:
            self._is_cancelled = True
            self._stop()
            self._outbox.put(CANCELLED)

    def answer_now(self) -> None:
        self._is_thinking_over = True
        for track in self._all():
            track.handle.answer_now()

    def __repr__(self) -> str:
        state = "ended" if self._is_over else "open"
        return f"<HeavyGeneration, {state}: {len(self._tracks)} answers to {self.num_prompt_tokens} tokens>"

    def _whole(self) -> ChatCompletion:
        return chat_completion(self._pieces)

    def _stop(self) -> None:
        for track in self._all():
            track.handle.cancel()

    def _require_own_process(self) -> None:
        self._tracks[0].handle._require_own_process()

    def _read(self, came_s: float, item: "str | _Track | Exception") -> None:
        if self._voted_s is None:
            self._follow(came_s)
        elif isinstance(item, Exception):
            self._fall_back(came_s, item)
        elif isinstance(item, _Track):
            self._reflection = item
            item.handle.listen(partial(self._outbox.put, CHANGED))
            if self._is_cancelled:
                item.handle.cancel()
            elif self._is_thinking_over:
                item.handle.answer_now()
        elif self._reflection is not None:
            self._follow_reflection(self._reflection, came_s)

    def _follow(self, came_s: float) -> None:
        """Reads the trajectories, and votes when it is time."""
        for track in self._tracks:
            new = track.read()
            if track is self._tracks[0]:  # which computes the prompt for all
                self._pieces += [piece for piece in new if piece.prompt_progress is not None]
        if self._is_cancelled:
            if all(track.has_ended for track in self._tracks):
                self._voters = [*self._tracks]
                self._finish(came_s, self._first_told(), "none")
            return
        self._count()
        if self._votes.is_decided:
            self._vote(came_s)
        elif self._num_tokens() - self._num_shown >= sum(not track.has_ended for track in self._tracks):
            self._tell(came_s)

    def _count(self) -> None:
        """Counts those that have ended with no more tokens than any that runs has by now."""
        ended = [track for track in self._tracks if track.has_ended and track not in self._voters]
        least = min((track.tokens for track in self._tracks if not track.has_ended), default=math.inf)
        for track in sorted(ended, key=lambda track: track.tokens):
            if track.tokens > least or self._votes.is_decided:
                return
            self._votes.add(track.key)
            self._voters.append(track)

    def _vote(self, came_s: float) -> None:
        """Ends those that run, and begins the reflection, or says what there is where it has nothing to reflect on."""
        self._voted_s = came_s
        for track in self._tracks:
            track.handle.cancel()
            track.read()
        self._tell(came_s)
        first = {track.key: track for track in reversed(self._voters) if track.key is not None}
        if not first:
            told = self._first_told()
            self._say(told.pieces)
            return self._finish(came_s, told, "none")
        self._winner = winner = first[self._votes.counts[0][0]]
        texts = [(text, count) for key, count in self._votes.counts if (text := first[key].text)]
        if not winner.text or sum(count for _, count in texts) == 1:
            self._say(winner.pieces)
            return self._finish(came_s, winner, "majority")
        message = reflection(sum(count for _, count in texts), texts)
        # Not on the reader's thread, which may be an event loop's: a long conversation is rendered and encoded again.
        # Not a daemon: Python would end it within compiled code, which ends the process.
        threading.Thread(target=self._begin_reflection, args=(message,), name="kimi-cpu reflection").start()
        return None

    def _first_told(self) -> "_Track":
        """The first trajectory that came to an end. Raises what failed where none did."""
        told = next((track for track in self._voters if track.turn is not None), self._voters[0])
        if told.error is not None:
            raise told.error
        return told

    def _begin_reflection(self, message: str) -> None:
        try:
            self._outbox.put(_Track(self._reflect(message)))
        except Exception as e:
            self._outbox.put(e)

    def _follow_reflection(self, track: "_Track", came_s: float) -> None:
        is_bound = self._votes.counts[0][1] > 1
        for piece in track.read():
            is_held = self._held or piece.finish_reason is not None or (is_bound and piece.content)
            (self._held if is_held else self._pieces).append(piece)
        if not track.has_ended:
            return
        if track.turn is None:
            return self._fall_back(came_s, track.error)
        if track.turn.finish_reason != CANCELLED and (why := self._complaint(track.turn)) is not None:
            return self._fall_back(came_s, why)
        self._say(self._held)
        self._finish(came_s, track, "aggregation")

    def _complaint(self, turn: ChatCompletion) -> str | None:
        """The reason for which the reflection is no answer, if there is one."""
        counts = self._votes.counts
        if not turn.content:
            return "it is empty" if turn.finish_reason == "stop" else "it was cut off"
        if counts[0][1] > 1 and turn.finish_reason != "stop":
            return "it was cut off"
        return None if settles(turn.content, counts) else "it says none of the answers that were given"

    def _fall_back(self, came_s: float, why: BaseException | str | None) -> None:
        """Says the most frequent answer, and why. An exception that is not of this request alone is raised."""
        if isinstance(why, BaseException) and (isinstance(why, EngineDeadError) or not isinstance(why, KimiError)):
            raise why
        assert self._winner is not None
        self._say([replace(piece, reasoning_content="") for piece in self._winner.pieces if piece.content])
        warning = f"The answer is the one that most trajectories gave, as the aggregation is no answer: {why}."
        self._finish(came_s, self._winner, "majority", (warning,))

    def _say(self, pieces: Sequence[Piece]) -> None:
        """Tells pieces of a trajectory or of the reflection as pieces of the answer."""
        of_text = (piece for piece in pieces if piece.prompt_progress is None)
        self._pieces += [replace(p, finish_reason=None, usage=None, timings=None, warnings=()) for p in of_text]

    def _finish(self, came_s: float, track: "_Track", by: str, warnings: tuple[str, ...] = ()) -> None:
        """Ends the answer as a trajectory, or the reflection, has ended. by: as in HeavyReport."""
        last = track.pieces[-1]
        turns = [track.turn for track in self._tracks if track.turn is not None]
        reflection = self._reflection.turn.usage if self._reflection and self._reflection.turn else None
        usages = [*(turn.usage for turn in turns), *([reflection] if reflection else [])]
        usage = Usage(
            turns[0].usage.prompt_tokens + (reflection.prompt_tokens if reflection else 0),
            sum(u.completion_tokens for u in usages),
            # The first computes the prompt, in which the others find all that it computed.
            min(turn.usage.cached_tokens for turn in turns) + (reflection.cached_tokens if reflection else 0),
            sum(u.reasoning_tokens for u in usages),
        )
        prefill_s = min(turn.timings.prefill_s for turn in turns)
        steps = max(turn.timings.decode_steps for turn in turns)
        timings = Timings(prefill_s, came_s - self._began_s - prefill_s, steps)
        voted_s = self._voted_s or came_s
        said = {voter.key: voter.said for voter in reversed(self._voters)}
        report = HeavyReport(
            self._shown(came_s),
            tuple((said[key] or key, count) for key, count in self._votes.counts),
            by,
            reflection,
            voted_s - self._began_s,
            came_s - voted_s,
        )
        self._pieces.append(
            Piece(
                finish_reason=last.finish_reason,
                usage=usage,
                timings=timings,
                warnings=(*last.warnings, *warnings),
                prompt_tokens=usage.prompt_tokens,
                prompt_cached=usage.cached_tokens,
                stop_text=last.stop_text,
                stop_reason=last.stop_reason,
                heavy=report,
            )
        )
        self._is_over = True
        self._done(self._whole())

    def _all(self) -> list["_Track"]:
        """The trajectories, and the reflection when it has begun."""
        return self._tracks if self._reflection is None else [*self._tracks, self._reflection]

    def _num_tokens(self) -> int:
        return sum(track.tokens for track in self._tracks)

    def _tell(self, now_s: float) -> None:
        self._num_shown = self._num_tokens()
        self._pieces.append(Piece(trajectories=self._shown(now_s), prompt_tokens=self.num_prompt_tokens))

    def _shown(self, now_s: float) -> tuple[Trajectory, ...]:
        """How far each trajectory is."""
        is_open, seconds = self._voted_s is None, now_s - self._began_s
        return tuple(track.shown(seconds, is_open or track in self._voters) for track in self._tracks)


@dataclass(eq=False)
class _Track:
    """A trajectory, or the reflection, as far as it has been read. key: its vote, where it has ended with one; said:
    the same in its own words."""

    handle: Generation[ChatCompletion]
    pieces: list[Piece] = field(default_factory=list[Piece])
    tokens: int = 0
    turn: ChatCompletion | None = None
    error: KimiError | None = None
    key: str | None = None
    said: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.turn is not None or self.error is not None

    @property
    def text(self) -> str | None:
        """Its answer, unless it calls tools."""
        return None if self.turn is None or self.turn.tool_calls else self.turn.content

    def read(self) -> list[Piece]:
        """What came since the last time. EngineDeadError; another error ends this trajectory alone."""
        new: list[Piece] = []
        try:
            if not self.has_ended:
                new = self.handle.ready(len(self.pieces))
        except EngineDeadError:
            raise
        except KimiError as e:
            self.error = e
        self.pieces += new
        self.tokens += sum(len(piece.token_ids) for piece in new)
        if new and new[-1].finish_reason is not None:
            self._end(self.handle.result())
        return new

    def shown(self, seconds: float, is_needed: bool) -> Trajectory:
        """As a person is told of it. seconds: since all began. is_needed: its vote counts, or may."""
        if self.turn is not None:
            seconds = self.turn.timings.prefill_s + self.turn.timings.decode_s
        if not is_needed:
            return Trajectory("not needed", None, self.tokens, seconds)
        if self.turn is None:
            return Trajectory("failed" if self.error else "running", None, self.tokens, seconds)
        state = "cut off" if self.turn.stop_reason else STATES[self.turn.finish_reason]
        return Trajectory(state, self.said, self.tokens, seconds)

    def _end(self, turn: ChatCompletion) -> None:
        self.turn = turn
        if turn.tool_calls:
            calls = [call["function"] for call in turn.tool_calls]
            self.key = self.said = "; ".join(f"{call['name']}({call['arguments']})" for call in calls)
        elif turn.finish_reason == "stop" and turn.stop_reason is None and turn.content:
            self.said = final_answer(turn.content)
            self.key = normalised(self.said)
