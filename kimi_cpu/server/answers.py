"""The answers to one HTTP request, as they come, and the numbers on them for /metrics."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..llm import ChatCompletion, Completion, EngineState, ExpertsState, Generation, Piece
from .memory import ReasoningMemory

FIRST_TOKEN_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)  # long prompts take minutes on CPUs
TOKEN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
REQUEST_S = (0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Question(NamedTuple):
    """A prompt (text, ids or messages), the keywords with which LLM.samples answers it, and the number of answers."""

    prompt: str | list
    options: dict
    n: int = 1

    @property
    def num_sequences(self) -> int:
        """Sequences that the engine runs for it at once."""
        return self.n * self.options.get("heavy", 1)


class Indexed(NamedTuple):
    """A piece, and the number of the answer that it belongs to among those of the request."""

    number: int
    piece: Piece


class Answers:
    """Pieces of several generations in one stream: iterate for (number, piece). Close it when done or left, which ends
    all that still run at once."""

    def __init__(self, metrics: "Metrics", memory: ReasoningMemory, release: Callable[[float], None]):
        """release: called once, at the end, with the seconds that the answers took."""
        self._metrics, self._memory, self._release = metrics, memory, release
        self._generations: list[Generation] = []
        self._tasks: list[asyncio.Task] = []
        self._queue: asyncio.Queue[Indexed | BaseException] = asyncio.Queue()
        self._num_open = 0
        self._started_s = time.monotonic()
        self._is_closed = False

    def add(self, generations: Sequence[Generation], messages: list[Mapping] | None) -> None:
        """More generations to follow. messages: those of a chat, as the model sees them."""
        for generation in generations:
            index = len(self._generations)
            self._generations.append(generation)
            self._num_open += 1
            self._tasks.append(asyncio.create_task(self._follow(index, generation, messages)))

    async def __aiter__(self) -> AsyncIterator[Indexed]:
        while self._num_open or not self._queue.empty():
            item = await self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item.piece.finish_reason is not None:
                self._num_open -= 1
            yield item

    async def whole(self) -> list[ChatCompletion | Completion]:
        """Waits for all answers. An exception of one of them is raised here."""
        async for _ in self:
            pass
        return [generation.result() for generation in self._generations]

    def end_thinking(self) -> None:
        """Ends the thinking of all answers that still think."""
        for generation in self._generations:
            generation.answer_now()

    def fail(self, error: Exception) -> None:
        """Ends all answers with an error for the client."""
        for generation in self._generations:
            generation.cancel()
        self._queue.put_nowait(error)

    def close(self) -> None:
        """Ends all that still run and frees their places. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        for generation, task in zip(self._generations, self._tasks, strict=True):
            if not task.done():
                generation.cancel()
                task.cancel()
                self._metrics.finished.labels("abort").inc()
        self._release(time.monotonic() - self._started_s)

    async def _follow(self, index: int, generation: Generation, messages: list[Mapping] | None) -> None:
        """Carries the pieces of one generation into the queue."""
        stopwatch = Stopwatch(self._metrics)
        try:
            async for piece in generation:
                stopwatch.saw(piece)
                if piece.finish_reason is not None and messages is not None:
                    turn = generation.result()
                    if turn.tool_calls:
                        await asyncio.to_thread(
                            self._memory.remember, messages, turn.tool_calls, turn.reasoning_content
                        )
                self._queue.put_nowait(Indexed(index, piece))
        except Exception as e:
            self._metrics.finished.labels("error").inc()
            self._queue.put_nowait(e)


class Metrics:
    """The counters of one server, in Prometheus' format, under vLLM's names with our prefix."""

    def __init__(self, by_replica: bool = False):
        """by_replica: numbers on engines have a label, the replica's name, and there is one that says which are up."""
        self.registry = CollectorRegistry()
        self._by_replica, self._of_engines = by_replica, list[Gauge]()
        r = self.registry
        self.running = self._gauge("num_requests_running", "Sequences that run.")
        self.waiting = self._gauge("num_requests_waiting", "Sequences that wait for a place.")
        self.cache_usage = self._gauge("kv_cache_usage_perc", "Share of pages that are held, 0 to 1.")
        self.prompt_tokens = Counter("kimi_cpu:prompt_tokens", "Tokens of prompts.", registry=r)
        self.generated_tokens = Counter("kimi_cpu:generation_tokens", "Tokens generated.", registry=r)
        self.cache_queries = Counter("kimi_cpu:prefix_cache_queries", "Prompt tokens looked up.", registry=r)
        self.cache_hits = Counter("kimi_cpu:prefix_cache_hits", "Prompt tokens found computed.", registry=r)
        self.first_token = Histogram(
            "kimi_cpu:time_to_first_token_seconds", "From request to first token.", buckets=FIRST_TOKEN_S, registry=r
        )
        self.next_token = Histogram(
            "kimi_cpu:inter_token_latency_seconds", "Between tokens of a sequence.", buckets=TOKEN_S, registry=r
        )
        self.whole = Histogram(
            "kimi_cpu:e2e_request_latency_seconds", "From request to last token.", buckets=REQUEST_S, registry=r
        )
        self.finished = Counter(
            "kimi_cpu:request_success", "Sequences that ended, by reason.", ["finished_reason"], registry=r
        )
        self.refused = Counter("kimi_cpu:requests_refused", "Requests that found the queue full.", registry=r)
        self.restored = Counter("kimi_cpu:reasoning_restored", "Messages whose reasoning was put back.", registry=r)

        self.expert_uses = self._gauge("expert_uses", "Experts needed, by layer and step.")
        self.expert_hits = self._gauge("expert_hits", "Those of them that were in memory.")
        self.expert_bytes = self._gauge("expert_read_bytes", "Bytes of the others, from disk.")
        self.hit_rate = self._gauge("expert_hit_rate", "Hits of the last uses, 0 to 1.")
        self.best_rate = self._gauge("expert_best_hit_rate", "Hits that Belady's optimum had had.")
        self.up = self._gauge("replica_up", "Whether its engine answers, 1 or 0.") if by_replica else None

    def text(self, engines: Mapping[str, EngineState | None], experts: Mapping[str, ExpertsState]) -> bytes:
        """The page that Prometheus reads. engines, experts: see TextModel."""
        if self._by_replica:
            for gauge in self._of_engines:
                gauge.clear()  # of replicas that have left
        for name, state in engines.items():
            if self.up is not None:
                self.up.labels(name).set(state is not None)
            if state is not None:
                self._tell(name, state, experts.get(name))
        return generate_latest(self.registry)

    def _tell(self, name: str, state: EngineState, experts: ExpertsState | None) -> None:
        """The numbers on one engine."""

        def at(gauge: Gauge) -> Gauge:
            return gauge.labels(name) if self._by_replica else gauge

        at(self.running).set(state.num_running)
        at(self.waiting).set(state.num_waiting)
        at(self.cache_usage).set((state.num_pages - state.num_free_pages) / max(state.num_pages, 1))
        at(self.expert_uses).set(0 if experts is None else experts.num_uses)
        at(self.expert_hits).set(0 if experts is None else experts.num_hits)
        at(self.expert_bytes).set(0 if experts is None else experts.bytes_read)
        recent = None if experts is None else experts.recent
        at(self.hit_rate).set(1 if recent is None else recent.hit_rate)
        at(self.best_rate).set(1 if recent is None else recent.best_hit_rate)

    def _gauge(self, name: str, help: str) -> Gauge:
        """A number on an engine."""
        labels = ["replica"] if self._by_replica else []
        gauge = Gauge(f"kimi_cpu:{name}", help, labels, registry=self.registry)
        self._of_engines.append(gauge)
        return gauge


class Stopwatch:
    """Measures the times of one sequence for the metrics."""

    def __init__(self, metrics: Metrics):
        self._metrics, self._started_s = metrics, time.monotonic()
        self._last_s: float | None = None

    def saw(self, piece: Piece) -> None:
        """Counts a piece that came now."""
        m, now = self._metrics, time.monotonic()
        if piece.token_ids:
            if self._last_s is None:
                m.first_token.observe(now - self._started_s)
            else:
                m.next_token.observe(now - self._last_s)
            self._last_s = now
        if piece.finish_reason is not None:
            m.whole.observe(now - self._started_s)
            m.finished.labels(piece.finish_reason).inc()
        if piece.usage is not None:
            m.prompt_tokens.inc(piece.usage.prompt_tokens)
            m.generated_tokens.inc(piece.usage.completion_tokens)
            m.cache_queries.inc(piece.usage.prompt_tokens)
            m.cache_hits.inc(piece.usage.cached_tokens)
