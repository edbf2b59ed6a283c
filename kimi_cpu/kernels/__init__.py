"""The catalogue: every operation of the model on arrays, compiled for this CPU. `reference` has the same in numpy.

`bind_x` is `x` with its arrays checked and bound once: a function of what changes from step to step. A `Chain` runs
many of them without Python between them, whose code and objects every kernel evicts from the caches.
"""

from .arrays import Activation, Cache, Experts, Routing, SharedExpert, cache_layer_bytes, make_activation
from .codegen.chain import Chain, LastArguments
from .codegen.jit import Bound
from .entries.attention_expanded import attend_expanded
from .entries.attention_int8 import attend_absorbed, bind_attend_absorbed, num_splits, plan_absorbed
from .entries.heads import absorb_queries, bind_absorb_queries, bind_project_values, project_values
from .entries.matmul import bind_gate_up, bind_linear, gate_up, linear
from .entries.moe import bind_experts, bind_route, experts, route
from .entries.pointwise import bind_embed, bind_rms_norm, bind_write_latents, embed, quantize, rms_norm, write_latents
from .runtime import context, stoppable

__all__ = [
    "Activation",
    "Bound",
    "Cache",
    "Chain",
    "Experts",
    "LastArguments",
    "Routing",
    "SharedExpert",
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
    "num_splits",
    "plan_absorbed",
    "project_values",
    "quantize",
    "rms_norm",
    "route",
    "stoppable",
    "write_latents",
]
