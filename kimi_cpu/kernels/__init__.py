"""The catalogue: every operation of the model on arrays, compiled for this CPU. `reference` has the same in numpy.

`bind_x` is `x` with its arrays checked and bound once: a function of what changes from step to step. A kernel evicts
all that Python has in the caches, so that a call which builds its arguments anew costs 150 us, a bound one 40.
"""

from .arrays import Activation, Cache, Experts, Routing, cache_layer_bytes, make_activation
from .attention_expanded import attend_expanded
from .attention_int8 import attend_absorbed, bind_attend_absorbed, plan_absorbed
from .heads import absorb_queries, bind_absorb_queries, bind_project_values, project_values
from .matmul import bind_gate_up, bind_linear, gate_up, linear
from .moe import bind_experts, bind_route, experts, route
from .pointwise import bind_embed, bind_rms_norm, bind_write_latents, embed, quantize, rms_norm, write_latents
from .runtime import context

__all__ = [
    "Activation",
    "Cache",
    "Experts",
    "Routing",
    "absorb_queries",
    "attend_absorbed",
    "attend_expanded",
    "bind_absorb_queries",
    "bind_attend_absorbed",
    "bind_embed",
    "bind_experts",
    "bind_gate_up",
    "bind_linear",
    "bind_project_values",
    "bind_rms_norm",
    "bind_route",
    "bind_write_latents",
    "cache_layer_bytes",
    "context",
    "embed",
    "experts",
    "gate_up",
    "linear",
    "make_activation",
    "plan_absorbed",
    "project_values",
    "quantize",
    "rms_norm",
    "route",
    "write_latents",
]
