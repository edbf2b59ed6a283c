"""The catalogue: every operation of the model on arrays, compiled for this CPU. `reference` has the same in numpy."""

from .arrays import Activation, Cache, Experts, cache_layer_bytes, make_activation
from .attention_expanded import attend_expanded
from .attention_int8 import attend_absorbed
from .heads import absorb_queries, project_values
from .matmul import gate_up, linear
from .moe import experts, route
from .pointwise import embed, quantize, rms_norm, write_latents

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
