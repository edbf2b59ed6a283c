"""This engine on a file that may be larger than the memory, in a process of its own: out_of_core.py starts it."""

import json
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

import kimi_cpu  # noqa: E402
from kimi_cpu.llm import memory  # noqa: E402
from tests.residency import routings  # noqa: E402
from tests.residency.routings import Routed  # noqa: E402

CONTEXT = 4096
WARM = 96  # tokens before those that are measured
PIECE = 16  # tokens that are timed at once
ANSWERED = 24  # tokens of a prompt, and of an answer


class Watched:
    """A residency that counts what each layer lacks, and may change what it has routed before.

    routing: imposed on all tokens, one after the other, from the beginning again at its end; None: the model's own.
    is_still: each layer uses experts that are there, others' where it has too few, and the residency learns nothing of
    it.
    """

    def __init__(self, model, routing: Routed | None):
        """model: whose residency it stands before."""
        self._inner, self._routing = model._residency, routing
        self._addresses = {layer: experts.address for layer, experts in model.weights.experts().items()}
        self._first, self._at, self._next = min(self._addresses), 0, 0
        self.is_still = False
        self.steps: list[list[int]] = []  # experts that each layer lacked

    def arrivals(self, layer, dispatch, stop):
        address, top_k = self._addresses[layer], dispatch.ids.shape[1]
        if layer == self._first:
            self.steps.append([])
        num_tokens = int(dispatch.first[dispatch.num_active[0]]) // top_k
        lent = np.empty(0, np.int64)
        if self.is_still:
            lent = self._lend(address, top_k)
            impose(dispatch, np.tile(np.flatnonzero(address)[:top_k], (num_tokens, 1)), None)
        elif self._routing is not None:
            if layer == self._first:
                self._at = self._next
            self._next = self._at + num_tokens
            rows = np.arange(self._at, self._next) % len(self._routing.ids)
            impose(dispatch, *(part[rows, layer - self._first] for part in self._routing))
        active = dispatch.active[: dispatch.num_active[0]]
        self.steps[-1].append(int(np.count_nonzero(address[active] == 0)))
        if self._inner is None or self.is_still:
            yield np.arange(len(active)), len(active)
            address[lent] = 0
        else:
            yield from self._inner.arrivals(layer, dispatch, stop)

    def _lend(self, address: np.ndarray, top_k: int) -> np.ndarray:
        """Gives a layer that has fewer experts than a token uses those of other layers; the ids that have them now."""
        lent = np.flatnonzero(address == 0)[: max(0, top_k - np.count_nonzero(address))]
        if len(lent):
            others = [a[a != 0] for a in self._addresses.values() if a is not address]
            address[lent] = np.concatenate(others)[: len(lent)]
        return lent


def impose(dispatch, ids: np.ndarray, scores: np.ndarray | None) -> None:
    """Another routing of a step: ids [T, k], scores [T, E]."""
    dispatch.ids[: len(ids)] = ids
    if scores is not None:
        dispatch.scores[: len(ids)] = scores
    active, counts = np.unique(ids, return_counts=True)
    dispatch.order[: ids.size] = np.argsort(ids.reshape(-1), kind="stable")
    dispatch.active[: len(active)] = active
    dispatch.first[: len(active) + 1] = np.concatenate([[0], np.cumsum(counts)])
    dispatch.num_active[0] = len(active)


class Throttled:
    """A source of reads that gives as many bytes a second as a slower disk, which reads one piece after the other."""

    def __init__(self, source, rate: float):
        """rate: bytes a second."""
        self._source, self._rate, self._free, self._lock = source, rate, 0.0, threading.Lock()

    def read(self, offset: int, room: np.ndarray) -> None:
        with self._lock:
            self._free = end = max(self._free, time.perf_counter()) + len(room) / self._rate
        self._source.read(offset, room)
        time.sleep(max(0.0, end - time.perf_counter()))


class Engine:
    """A loaded model, with what it does watched."""

    def __init__(self, llm: kimi_cpu.LLM, routing: str, num_tokens: int):
        self.llm, config = llm, llm.config
        model = llm._thread._engine.model
        self.residency = model._residency
        self._source = None if self.residency is None else self.residency._reads._source
        experts = model.weights.experts()
        self.num_layers, self.top_k = len(experts), config.num_experts_per_tok
        self.stride = next(iter(experts.values())).data.strides[0]
        chosen = None
        if routing != "own":
            chosen = getattr(routings, routing)(WARM + num_tokens, self.num_layers, config.n_routed_experts)
        self.watched = Watched(model, chosen)
        if routing != "own" or self.residency is not None:
            model._residency = self.watched
        self._numbers = np.random.default_rng(0)

    def prompt(self, count: int) -> float:
        """Tokens a second of a prompt of random ids."""
        ids = self._drawn(count)
        return count / self.llm.generate(ids, max_tokens=1, temperature=0, ignore_eos=True).timings.prefill_s

    def answer(self) -> list[int]:
        """Generated tokens, which are the same wherever experts are, if the routing is the model's own."""
        done = self.llm.generate(list(range(ANSWERED)), max_tokens=ANSWERED, temperature=0, ignore_eos=True)
        return list(done.token_ids)

    def generate(self, count: int, is_still: bool = False) -> tuple[float, list[list[int]]]:
        """Seconds a token, and the experts that each layer of each lacked."""
        self.watched.is_still, self.watched.steps = is_still, []
        done = self.llm.generate(self._drawn(1), max_tokens=count + 1, temperature=0, ignore_eos=True)
        return done.timings.decode_s / count, self.watched.steps[1:]

    def throttle(self, rate: float | None) -> None:
        """Has the disk give so many bytes a second; None: what it can."""
        self.residency._reads._source = self._source if rate is None else Throttled(self._source, rate)

    def _drawn(self, count: int) -> list[int]:
        return self._numbers.integers(0, self.llm.config.vocab_size, count).tolist()


def measure(path: Path, budget: int | None, routing: str, tokens: int, prompt: int, disks: list[float], rate: float):
    """{"prefill": tokens a second, "outside": share of a token's time outside the experts, "pieces": of generation,
    "answer": tokens; none where a routing is imposed}.

    A piece is {"disk", "whole_s", "token_s", "rate", "missing", "stride"}: seconds of a token with all experts in
    memory and as it was, bytes a second of the disk, experts that the layers of each token lacked. disks: how many
    times as long as a token with all experts in memory the reads of its misses are to take; 0: as the disk is, which
    gives `rate` bytes a second. budget: None for a plain mapping.
    """
    memory.usable_memory = lambda: 1 << 50  # the limit is known to the mapped file's pages alone
    memory.free_memory = lambda: 1 << 50
    options = {"preload": False} if budget is None else {"memory": budget}
    rounds = -(-tokens // PIECE)
    with kimi_cpu.load(path, context=CONTEXT, speculate=False, **options) as llm:
        engine = Engine(llm, routing, (PIECE + 8) * (rounds + 1) * len(disks) + 2 * prompt)
        answer = engine.answer() if routing == "own" else []
        engine.generate(WARM)
        pieces, lacked = [], engine.top_k * engine.num_layers / 8  # experts that a token lacks
        for _ in range(rounds):
            whole_s = engine.generate(PIECE, is_still=True)[0] if budget is not None else 0.0
            for disk in disks:
                wanted = lacked * engine.stride / (disk * whole_s) if disk else rate
                if wanted > rate:
                    continue
                if budget is not None:
                    engine.throttle(wanted if disk else None)
                token_s, missing = engine.generate(PIECE)
                lacked = max(1.0, float(np.sum(missing)) / PIECE)
                facts = {"disk": disk, "whole_s": whole_s, "token_s": token_s, "rate": wanted, "missing": missing}
                pieces.append(facts | {"stride": engine.stride})
        if budget is not None:
            engine.throttle(None)
        prefill = engine.prompt(prompt) if prompt else 0.0
        return {
            "answer": answer,
            "pieces": pieces,
            "prefill": prefill,
            "num_layers": engine.num_layers,
            "top_k": engine.top_k,
            "outside": 1 - llm.needs.token_experts / llm.needs.token,
        }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), **json.loads(sys.argv[2]))))
