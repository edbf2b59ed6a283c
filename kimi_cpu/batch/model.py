"""A model as a batch sees it: requests go in and answers come out as plain values, here or from another host."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .results import Failure
from .source import Question


@dataclass(frozen=True)
class Tokens:
    """Counts of answers: tokens of prompts, those of them that were computed before, and generated tokens."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt + other.prompt, self.cached + other.cached, self.completion + other.completion)


class Grown(NamedTuple):
    """An answer has more ids. resumable: whether its ids are enough to go on from."""

    key: bytes
    ids: Sequence[int]
    resumable: bool = True


class Answered(NamedTuple):
    """An answer is whole. body: OpenAI's response object."""

    key: bytes
    body: dict
    tokens: Tokens


class Failed(NamedTuple):
    """A request gets no answer."""

    key: bytes
    why: Failure


class Lost(Exception):
    """A model is gone, and with it all that it had not told of. Says why."""


class Model(Protocol):
    """Answers jobs, many at once, in this process or elsewhere: what goes in and what comes out are plain values.

    It is used from one thread. Whatever `start` and `poll` raise besides Lost is no request's fault and ends the run.
    """

    identity: dict[str, str]  # what must be the same when a run is continued
    lag_s: float  # from the end of an answer until another request, which that lets come, can begin

    def connect(self, wake: Callable[[], None]) -> None:
        """Comes first: wake(), from any thread, says that `poll` has something. Who was lost and is connected again
        has forgotten what ran before."""

    def start(self, question: Question, resume: Sequence[int]) -> None:
        """Begins an answer, of which the ids `resume` are known. Lost."""

    def poll(self) -> Sequence[Grown | Answered | Failed]:
        """All that came since the last time, without waiting; new ids only. Lost."""
        ...

    def withdraw(self, key: bytes) -> None:
        """Ends one answer; nothing more comes of it, and it may be begun again."""

    def cancel(self) -> None:
        """Ends all that runs; nothing more comes of it."""
