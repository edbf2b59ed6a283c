"""The catalogue: every operation of the model on arrays, compiled for this CPU. `reference` has the same in numpy.

An operation runs at once. `Recorder` has the same operations: it notes them down, and a `Program` runs them again and
again without Python between them, whose code and objects every kernel evicts from the caches.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from .arrays import (
    Activation,
    Cache,
    Dispatch,
    Experts,
    Routing,
    SharedExpert,
    cache_layer_bytes,
    make_activation,
    make_dispatch,
)
from .codegen.jit import Call, StepArg
from .entries import attention, attention_expanded, matmul, moe, pointwise
from .entries.attention import num_splits, plan_absorbed
from .recorder import Program, Recorder
from .runtime import context, stoppable

P = ParamSpec("P")


def _at_once(operation: Callable[P, Call]) -> Callable[P, None]:
    """The operation itself, not a call of it to be made later."""

    @wraps(operation)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        operation(*args, **kwargs)()

    return run


absorb_queries = _at_once(matmul.absorb_queries)
attend_absorbed = _at_once(attention.attend_absorbed)
attend_expanded = _at_once(attention_expanded.attend_expanded)
embed = _at_once(pointwise.embed)
experts_down = _at_once(moe.experts_down)
experts_gate_up = _at_once(moe.experts_gate_up)
gate_up = _at_once(matmul.gate_up)
linear = _at_once(matmul.linear)
project_values = _at_once(matmul.project_values)
quantize = _at_once(pointwise.quantize)
rms_norm = _at_once(pointwise.rms_norm)
route = _at_once(moe.route)
write_latents = _at_once(pointwise.write_latents)

__all__ = [
    "Activation",
    "Cache",
    "Call",
    "Dispatch",
    "Experts",
    "Program",
    "Recorder",
    "Routing",
    "SharedExpert",
    "StepArg",
    "absorb_queries",
    "attend_absorbed",
    "attend_expanded",
    "cache_layer_bytes",
    "context",
    "embed",
    "experts_down",
    "experts_gate_up",
    "gate_up",
    "linear",
    "make_activation",
    "make_dispatch",
    "num_splits",
    "plan_absorbed",
    "project_values",
    "quantize",
    "rms_norm",
    "route",
    "stoppable",
    "write_latents",
]
