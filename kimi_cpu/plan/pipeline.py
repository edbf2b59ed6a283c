"""Simulates one pipeline of stages that answers requests: queues, hops, bubbles, and the loss of a host.

As the engine does it: at most `depth` steps are in flight, among which the running requests are divided, each in one
of them at a time. A step has a token of each request that generates, and equal shares of tokens for prompts. It is cut
into pieces that follow each other through the stages. A stage computes what comes to it in that order; messages cross
while it computes, one after the other on a link.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import NamedTuple

from .events import Clock, Span, Station
from .steps import Work

CHUNK = 512  # tokens of a piece
PIECES = 2  # of prompts in a step, for each stage, when there are several


class Network(NamedTuple):
    """latency_s: from when a message leaves until it is used, programs included. rate: bytes a second of a link."""

    latency_s: float
    rate: float


class Request(NamedTuple):
    """at_s: when it comes. computed: tokens of its prompt that need no computing."""

    at_s: float
    prompt: int
    generated: int
    computed: int = 0


class Outage(NamedTuple):
    """A host is lost, and what all stages have in their caches is worthless; `seconds` later they go on."""

    at_s: float
    seconds: float


class Answer(NamedTuple):
    """When a request came, was begun, gave its first token and its last."""

    at_s: float
    begun_s: float
    first_s: float
    end_s: float


class Run(NamedTuple):
    """What happened until end_s. tokens: generated. token_s: seconds between two of a sequence, on average; 0 when none
    has two. stages: when each one was busy, and with which step in flight. occupancy: the share of the time that each
    was."""

    end_s: float
    tokens: int
    token_s: float
    answers: list[Answer]
    stages: list[list[Span]]
    occupancy: list[float]

    @property
    def rate(self) -> float:
        """Generated tokens a second."""
        return self.tokens / self.end_s

    @property
    def wait_s(self) -> float:
        """Seconds from when a request comes until it is begun, on average of those that are answered."""
        return mean(answer.begun_s - answer.at_s for answer in self.answers)

    @property
    def answer_s(self) -> float:
        """Seconds from when a request comes to the end of its answer, on average."""
        return mean(answer.end_s - answer.at_s for answer in self.answers)


@dataclass(eq=False)
class _Sequence:
    """A request that runs. missing: tokens to be computed before it generates."""

    request: Request
    begun_s: float
    missing: int
    generated: int = 0
    first_s: float | None = None  # when its first token came, and its last one
    last_s: float = 0.0

    @property
    def computed(self) -> int:
        """Tokens in the cache; the last one that was generated is not yet there."""
        return self.request.prompt + self.generated - max(1, self.missing)


class Pipeline:
    """Stages, and the network between them. The driver is on the last one's host, and tells all of them of a step."""

    def __init__(self, stages: Sequence[Callable[[Work], float]], network: Network, row_bytes: int, chunk: int = CHUNK):
        """stages: seconds that each one takes for a piece of work. row_bytes: of a token, from one to the next. chunk:
        tokens of a piece, at most."""
        self.stages, self.network, self.row_bytes, self.chunk = stages, network, row_bytes, chunk

    @property
    def tell_s(self) -> float:
        """Seconds until the first stage knows of a step."""
        return self.network.latency_s if len(self.stages) > 1 else 0.0

    def link_s(self, work: Work) -> float:
        """Seconds that a piece of work occupies the link to the next stage."""
        return (work.decoding + work.prompt) * self.row_bytes / self.network.rate

    def alone_s(self, work: Work) -> float:
        """Seconds of a step of one piece when there is no other."""
        hops = (len(self.stages) - 1) * (self.network.latency_s + self.link_s(work))
        return self.tell_s + hops + sum(seconds(work) for seconds in self.stages)

    def simulate(
        self,
        requests: Iterable[Request],
        depth: int,
        places: int,
        until_s: float = math.inf,
        outage: Outage | None = None,
    ) -> Run:
        """Answers requests, which come in the order of their times, up to a time or until there are no more. depth:
        steps in flight, at most; places: requests that run, at most."""
        return _Simulation(self, requests, depth, places, outage).run(until_s)


class _Simulation:
    def __init__(self, pipeline: Pipeline, requests: Iterable[Request], depth: int, places: int, outage: Outage | None):
        self._pipeline, self._depth, self._places = pipeline, depth, places
        self._clock = Clock()
        self._stages = [Station(self._clock) for _ in pipeline.stages]
        self._links = [Station(self._clock) for _ in pipeline.stages[1:]]
        self._max_tokens = pipeline.chunk * (PIECES * len(self._stages) if self._links else 1)
        self._requests: Iterator[Request] = iter(requests)
        self._next = next(self._requests, None)
        self._awaited: Request | None = None  # the next one, when its coming is planned
        self._running: list[_Sequence] = []  # oldest first
        self._in_flight: dict[int, list[_Sequence]] = {}  # steps by number, the lowest that is free
        self._life = 0  # outages so far: what was in flight before one never arrives
        self._closed_s = 0.0  # until when nothing can begin
        self._tokens = self._num_gaps = 0  # generated; those that a sequence waited for since its last one
        self._gaps_s = 0.0
        self._answers: list[Answer] = []
        if outage is not None:
            self._clock.at(outage.at_s, partial(self._lose, outage))

    def run(self, until_s: float) -> Run:
        self._go_on()
        end_s = self._clock.run(until_s)
        token_s = self._gaps_s / self._num_gaps if self._num_gaps else 0.0
        spans = [station.spans for station in self._stages]
        occupancy = [station.busy_s(end_s) / end_s for station in self._stages]
        return Run(end_s, self._tokens, token_s, self._answers, spans, occupancy)

    def _go_on(self) -> None:
        """Begins the requests that have come and have a place, and the steps for which there are any."""
        now_s = self._clock.now_s
        if now_s < self._closed_s:
            return
        while self._next is not None and len(self._running) < self._places:
            if self._next.at_s > now_s:
                if self._awaited is not self._next:
                    self._awaited = self._next
                    self._clock.at(self._next.at_s, self._go_on)
                break
            missing = self._next.prompt - self._next.computed
            self._running.append(_Sequence(self._next, now_s, missing))
            self._next = next(self._requests, None)
        while len(self._in_flight) < self._depth and (taken := self._take()):
            self._begin(taken)

    def _take(self) -> list[_Sequence]:
        """A step's part of the running sequences: the oldest that are in no other."""
        busy = {sequence for step in self._in_flight.values() for sequence in step}
        ready = [sequence for sequence in self._running if sequence not in busy]
        return ready[: -(-len(self._running) // self._depth)]

    def _begin(self, taken: list[_Sequence]) -> None:
        number = next(i for i in range(self._depth) if i not in self._in_flight)
        self._in_flight[number] = taken
        shares = _shares(taken, self._max_tokens)
        pieces = _pieces(shares, self._pipeline.chunk)
        arrive_s = self._clock.now_s + self._pipeline.tell_s
        for work in pieces:
            step = _Step(number, shares, work, self._life, is_last=work is pieces[-1])
            self._clock.at(arrive_s, partial(self._enter, 0, step))

    def _enter(self, stage: int, step: "_Step") -> None:
        """A piece of a step has come to a stage."""
        if step.life == self._life:
            done_s = self._stages[stage].take(self._pipeline.stages[stage](step.work), step.number)
            self._clock.at(done_s, partial(self._leave, stage, step))

    def _leave(self, stage: int, step: "_Step") -> None:
        """A stage has computed a piece of a step."""
        if step.life != self._life:
            return
        if stage < len(self._links):
            sent_s = self._links[stage].take(self._pipeline.link_s(step.work), step.number)
            self._clock.at(sent_s + self._pipeline.network.latency_s, partial(self._enter, stage + 1, step))
        elif step.is_last:
            self._finish(step)

    def _finish(self, step: "_Step") -> None:
        now_s = self._clock.now_s
        del self._in_flight[step.number]
        for sequence, count in step.shares.items():
            sequence.missing = max(0, sequence.missing - count)
            if not sequence.missing:
                self._generate(sequence, now_s)
        self._go_on()

    def _generate(self, sequence: _Sequence, now_s: float) -> None:
        """One more token of a sequence."""
        request = sequence.request
        self._tokens += 1
        sequence.generated += 1
        if sequence.first_s is None:
            sequence.first_s = now_s
        else:
            self._num_gaps += 1
            self._gaps_s += now_s - sequence.last_s
        sequence.last_s = now_s
        if sequence.generated == request.generated:
            self._running.remove(sequence)
            self._answers.append(Answer(request.at_s, sequence.begun_s, sequence.first_s, now_s))

    def _lose(self, outage: Outage) -> None:
        self._life += 1
        self._in_flight.clear()
        self._closed_s = outage.at_s + outage.seconds
        for station in (*self._stages, *self._links):
            station.close(self._closed_s)
        for sequence in self._running:
            sequence.missing = sequence.request.prompt + sequence.generated
        self._clock.at(self._closed_s, self._go_on)


class _Step(NamedTuple):
    """A piece of a step. shares: tokens of each sequence, in the whole step."""

    number: int
    shares: dict[_Sequence, int]
    work: Work
    life: int
    is_last: bool


def _shares(sequences: list[_Sequence], max_tokens: int) -> dict[_Sequence, int]:
    """Tokens of each sequence in a step: one of those that generate, of the others equal shares of what is left."""
    shares = {sequence: 1 for sequence in sequences if not sequence.missing}
    budget = max_tokens - len(shares)
    filling = sorted((s for s in sequences if s.missing), key=lambda s: s.missing)
    for place, sequence in enumerate(filling):  # short ones first: what they leave goes to the longer
        share = min(-(-budget // (len(filling) - place)), sequence.missing)
        if share > 0:
            shares[sequence] = share
            budget -= share
    return shares


def _pieces(shares: dict[_Sequence, int], chunk: int) -> list[Work]:
    """The work of a step, in pieces of at most `chunk` tokens, as long as each other; those that generate are in the
    first one."""
    generating = [sequence for sequence in shares if not sequence.missing]
    num, total = len(generating), sum(shares.values())
    length = -(-total // -(-total // chunk))
    piece = Work(num, 0, num, decoding_pairs=sum(sequence.computed + 1 for sequence in generating))
    pieces: list[Work] = []
    for sequence, count in shares.items():
        before, left = sequence.computed, count if sequence.missing else 0
        while left:
            tokens = min(left, length - piece.decoding - piece.prompt)
            if not tokens:
                pieces.append(piece)
                piece = Work()
                continue
            left -= tokens
            piece = piece._replace(
                prompt=piece.prompt + tokens,
                logits=piece.logits + (not left and count == sequence.missing),
                prompt_pairs=piece.prompt_pairs + tokens * before + tokens * tokens // 2,
                rebuilt=piece.rebuilt + before,
            )
            before += tokens
    return [*pieces, piece]
