"""What /metrics tells, in Prometheus' format under vLLM's names with our prefix."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..llm import EngineState, Piece

FIRST_TOKEN_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)  # long prompts take minutes on CPUs
TOKEN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
REQUEST_S = (0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Metrics:
    """The counters of one server."""

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

    def text(self, state: EngineState) -> bytes:
        """The page that Prometheus reads."""
        self.running.set(state.num_running)
        self.waiting.set(state.num_waiting)
        self.cache_usage.set(1 - state.num_free_pages / state.num_pages)
        return generate_latest(self.registry)


class Watch:
    """The times of one sequence."""

    def __init__(self, metrics: Metrics):
        self._metrics, self._started_s = metrics, time.monotonic()
        self._last_s: float | None = None

    def saw(self, piece: Piece) -> None:
        """A piece came."""
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
