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

    def __init__(self):
        self.registry = CollectorRegistry()
        r = self.registry
        self.running = Gauge("kimi_cpu:num_requests_running", "Sequences that run.", registry=r)
        self.waiting = Gauge("kimi_cpu:num_requests_waiting", "Sequences that wait for a place.", registry=r)
        self.cache_usage = Gauge("kimi_cpu:kv_cache_usage_perc", "Share of pages that are held, 0 to 1.", registry=r)
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

        self.expert_uses = Gauge("kimi_cpu:expert_uses", "Experts needed, by layer and step.", registry=r)
        self.expert_hits = Gauge("kimi_cpu:expert_hits", "Those of them that were in memory.", registry=r)
        self.expert_bytes = Gauge("kimi_cpu:expert_read_bytes", "Bytes of the others, from disk.", registry=r)
        self.hit_rate = Gauge("kimi_cpu:expert_hit_rate", "Hits of the last uses, 0 to 1.", registry=r)
        self.best_rate = Gauge("kimi_cpu:expert_best_hit_rate", "Hits that Belady's optimum had had.", registry=r)

    def text(self, state: EngineState, experts: ExpertsState | None) -> bytes:
        """The page that Prometheus reads. experts: None when all are in memory."""
        self.running.set(state.num_running)
        self.waiting.set(state.num_waiting)
        self.cache_usage.set(1 - state.num_free_pages / state.num_pages)
        if experts is not None:
            self.expert_uses.set(experts.num_uses)
            self.expert_hits.set(experts.num_hits)
            self.expert_bytes.set(experts.bytes_read)
        recent = None if experts is None else experts.recent
        self.hit_rate.set(1 if recent is None else recent.hit_rate)
        self.best_rate.set(1 if recent is None else recent.best_hit_rate)
        return generate_latest(self.registry)


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
