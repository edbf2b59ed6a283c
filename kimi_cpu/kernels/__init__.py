"""The catalogue: every operation of the model on arrays, compiled for this CPU. `reference` has the same in numpy."""

from .arrays import Activation, Cache, Experts, cache_layer_bytes, make_activation
from .reference import (
    absorb_queries,
    attend_absorbed,
    attend_expanded,
    embed,
    experts,
    gate_up,
    linear,
    project_values,
    quantize,
    rms_norm,
    route,
    write_latents,
)

__all__ = [
    "Activation",
    "Cache",
    "Experts",
    "absorb_queries",
    "attend_absorbed",
    "attend_expanded",
    "cache_layer_bytes",
    "embed",
    "experts",
    "gate_up",
    "linear",
    "make_activation",
    "project_values",
    "quantize",
    "rms_norm",
    "route",
    "write_latents",
]
