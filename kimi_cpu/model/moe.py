"""Feed-forward parts: the dense MLP, and the mixture of experts (DeepSeek-V3 report, sec. 2.1.2)."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..config import ModelConfig
from ..kernels import Dispatch, Experts, Program, Recorder, Routing, SharedExpert, StepArg
from .weights import MlpWeights, MoeWeights
from .workspace import StepArgs, Workspace


class Residency(Protocol):
    """Brings routed experts to memory when not all of them fit, and writes to `Experts.address` where they are."""

    def arrivals(self, layer: int, dispatch: Dispatch, stop: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Pairs (places i64[n], ready) until a layer whose routing is known has all its active experts.

        places: experts by their places in dispatch.active; gate and up of these are in memory. Each place comes once,
        in any order; the first pair comes at once and has those that are there, which may be none. ready: so many
        experts from the beginning of dispatch.active can be added to the output: their places have come, and down of
        those that have not been added is in memory. The memory may be used otherwise as soon as the next pair is asked
        for. The last `ready` is num_active; when stop i64[1] is set, and only then, the pairs may end before.
        """
        ...


def mlp(k: Recorder, w: MlpWeights, ws: Workspace, step: StepArgs) -> None:
    """hidden [T, H] += down(silu(gate x) * (up x)) of normed x [T, H]; I: its width."""
    T, inner = step.rows, ws.mlp[w.gate_proj.rows]

    k.gate_up(w.gate_proj, w.up_proj, ws.normed, inner, rows=T)  # [T, I]
    k.linear((w.down_proj,), inner, (ws.hidden,), add=True, rows=T)  # [T, H]


def moe(
    k: Recorder,
    w: MoeWeights,
    config: ModelConfig,
    ws: Workspace,
    step: StepArgs,
    layer: int,
    residency: Residency | None,
) -> None:
    """hidden [T, H] += sum of the k chosen experts, weighted, + the shared experts, of normed x [T, H].

    Numbers in brackets are the report's equations. Residency, if there is one, acts once the routing is known.
    """
    T, c, x, d = step.rows, config, ws.normed, ws.dispatch
    routing = Routing(c.num_experts_per_tok, c.n_group, c.topk_group, c.norm_topk_prob, c.routed_scaling_factor)
    shared = _shared(w.shared_experts, ws)

    k.route(x.x, w.gate, w.e_score_correction_bias, routing, d, rows=T)  # [T, k] (13 to 16)
    if residency is None:
        k.experts_gate_up(w.experts, x, d, ws.routed, shared=shared, rows=T)  # [T * k, I] and [T, I of the shared]
        k.experts_down(w.experts, ws.routed, d, ws.hidden, shared=shared, rows=T)  # [T, H] (12)
    else:
        k.cut(Arriving(w.experts, shared, ws, step, layer, residency))  # [T, H] (12)


def _shared(w: MlpWeights | None, ws: Workspace) -> SharedExpert | None:
    """Shared experts as a part of the kernels that compute the routed ones: no time is lost between them."""
    return w and SharedExpert(w.gate_proj, w.up_proj, w.down_proj, ws.mlp[w.gate_proj.rows])


class Arriving:
    """hidden [T, H] += the experts of a layer: routed ones are computed as they come and added in ascending id.

    The shared ones are computed with the first of them, while others come, and added with the last.
    """

    def __init__(
        self,
        experts: Experts,
        shared: SharedExpert | None,
        ws: Workspace,
        step: StepArgs,
        layer: int,
        residency: Residency,
    ):
        self._experts, self._dispatch, self._step = experts, ws.dispatch, step
        self._layer, self._residency = layer, residency
        self._places, self._begin, self._end = StepArg(np.zeros(0, np.int64)), StepArg(), StepArg()

        def gate_up(shared: SharedExpert | None) -> Program:
            k, where = Recorder(), self._places
            k.experts_gate_up(experts, ws.normed, ws.dispatch, ws.routed, where, shared, rows=step.rows)  # [T * k, I]
            return k.compile()

        def down(shared: SharedExpert | None) -> Program:
            k, where = Recorder(), (self._begin, self._end)
            k.experts_down(experts, ws.routed, ws.dispatch, ws.hidden, *where, shared=shared, rows=step.rows)  # [T, H]
            return k.compile()

        self._first_gate_up, self._gate_up = gate_up(shared), gate_up(None)
        self._down, self._last_down = down(None), down(shared)

    def __call__(self) -> None:
        step, dispatch, done = self._step, self._dispatch, 0
        if step.stop[0]:
            return  # the routing is not to be believed
        gate_up = self._first_gate_up
        for places, ready in self._residency.arrivals(self._layer, dispatch, step.stop):
            if step.stop[0]:
                return
            if len(places) or gate_up is self._first_gate_up:
                self._require(places)
                self._places.set(places)
                gate_up.run()
                gate_up = self._gate_up
            if ready > done:
                self._require(slice(done, ready))
                self._begin.set(done)
                self._end.set(ready)
                (self._last_down if ready == dispatch.num_active[0] else self._down).run()
                done = ready
        assert step.stop[0] or done == dispatch.num_active[0], f"layer {self._layer}: experts are missing"

    def _require(self, places: np.ndarray | slice) -> None:
        """These experts have an address: kernels read there blindly."""
        assert self._experts.address[self._dispatch.active[places]].all(), f"layer {self._layer}: experts are absent"
