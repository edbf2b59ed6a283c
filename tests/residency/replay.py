"""A routing replayed: a pool of experts that does what the policy says, without memory or a disk."""

import numpy as np

from kimi_cpu.residency.policy import Policy

from .routings import Routed

ONE = np.ones(64, np.int64)  # tokens of each expert, in a step of one token


def replay(policy: Policy, routing: Routed, num_experts: int, capacity: int) -> np.ndarray:
    """bool[T, layers, k]: the hits of a routing in a pool of `capacity` experts of all layers."""
    ids, scores = routing
    num_tokens, layers, k = ids.shape
    resident: set[int] = set()
    is_hit = np.zeros(ids.shape, bool)
    for token in range(num_tokens):
        for layer in range(layers):
            experts = ids[token, layer]
            policy.use(layer, experts, ONE[:k], None if scores is None else scores[token, layer, None])
            keys = (layer * num_experts + experts).tolist()
            is_hit[token, layer] = [key in resident for key in keys]
            for key in keys:
                if key in resident:
                    continue
                if len(resident) == capacity:
                    gone = policy.victim(key, frozenset())
                    if gone is None:
                        continue
                    resident.remove(gone)
                policy.admit(key)
                resident.add(key)
    return is_hit
