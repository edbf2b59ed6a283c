"""The arrays that kernels take: activations, routed experts and the latent cache, as plain tuples of numpy arrays."""

from typing import NamedTuple

import numpy as np

from ..quant.rows16 import GROUP, Matrix, pad

PAGE_TOKENS = 64  # tokens in one page of the cache
CACHE_GROUP = 64  # values of an int8 cache that share a scale
CACHE_KINDS = {"f16": 2, "int8": 1, "f32": 4}  # bytes a value
LANES = 16  # latents and rotary values of a float cache are padded to whole registers
SCALE, SUM_INT4, SUM_Q8 = 0, 1, 2  # fields of Activation.s


class Activation(NamedTuple):
    """The input of a matmul, rows of tokens. Columns are padded to 32 with zeros, which nothing overwrites.

    x f32[T, C32]. For int8 compute also q i8[T, C32] and s f32[T, C32/32, 4]: what goes with a group of 32 values is
    its scale, then two int32 in the same bits, -8 * sum(q) and -128 * sum(q) (they make stored int4 and q8 values
    unsigned), then a spare. q and s are None for f32 compute. cols: the width before padding.
    """

    x: np.ndarray
    q: np.ndarray | None
    s: np.ndarray | None
    cols: int

    def rows(self, start: int, stop: int | None = None) -> "Activation":
        """The first `start` rows, or rows start..stop-1; views."""
        rows = slice(start) if stop is None else slice(start, stop)
        if self.q is None or self.s is None:
            return Activation(self.x[rows], None, None, self.cols)
        return Activation(self.x[rows], self.q[rows], self.s[rows], self.cols)


def make_activation(tokens: int, cols: int, int8: bool) -> Activation:
    """Zeroed activations for [tokens, cols]."""
    width = pad(cols, GROUP)
    x = np.zeros((tokens, width), np.float32)
    if not int8:
        return Activation(x, None, None, cols)
    groups = width // GROUP
    q = np.zeros((tokens, _odd_lines(width)), np.int8)[:, :width]
    s = np.zeros((tokens, _odd_lines(16 * groups) // 16, 4), np.float32)[:, :groups]
    return Activation(x, q, s, cols)


def _odd_lines(size: int) -> int:
    """At least `size` bytes, an odd number of cache lines.

    A tile reads the same columns of 16 tokens. Were their rows an even number of lines apart, as 8,192 bytes are, they
    would share a few sets of the first-level cache and evict each other.
    """
    return 64 * (-(-size // 64) | 1)


class Routing(NamedTuple):
    """How a token's experts are chosen and weighed, in config.json's names; reference.route says what they do."""

    top_k: int
    n_group: int
    topk_group: int
    norm_topk_prob: bool
    routed_scaling_factor: float


class Dispatch(NamedTuple):
    """Which rows go to which experts. A row t * k + i is token t with its i-th expert; rows are sorted by expert, then
    by token. Written by `route`, of the tokens of a step.
    """

    ids: np.ndarray  # i32[T, k], each token's experts, ascending
    weights: np.ndarray  # f32[T, k], theirs
    order: np.ndarray  # i64[T * k], the sorted rows
    active: np.ndarray  # i64[min(E, T * k)], the experts that occur, ascending: the first num_active
    first: np.ndarray  # i64[min(E, T * k) + 1], where the rows of active[a] begin in `order`, and where the last end
    num_active: np.ndarray  # i64[1]
    scores: np.ndarray  # f32[T, E], by which each token chose, within the groups that it kept


def make_dispatch(tokens: int, num_experts: int, top_k: int) -> Dispatch:
    """Room for the routing of so many tokens."""
    rows = tokens * top_k
    most = min(num_experts, rows)
    ids, weights = np.zeros((tokens, top_k), np.int32), np.zeros((tokens, top_k), np.float32)
    order, active, first = (np.zeros(n, np.int64) for n in (rows, most, most + 1))
    scores = np.zeros((tokens, num_experts), np.float32)
    return Dispatch(ids, weights, order, active, first, np.zeros(1, np.int64), scores)


class Experts(NamedTuple):
    """A layer's routed experts: gate, up and down of expert e begin at address[e] + gate_offset, ….

    gate and up are packed [rows, cols], down is packed [cols, rows], each in a kind of its own. Addresses may change
    between calls.
    """

    kinds: tuple[str, str, str]  # of gate, up and down
    data: np.ndarray  # u8[E, stride], where they are in the model's file; keeps it mapped
    address: np.ndarray  # i64[E], where they are in memory; 0: nowhere
    gate_offset: int  # bytes
    up_offset: int
    down_offset: int
    rows: int
    cols: int


class SharedExpert(NamedTuple):
    """A layer's shared experts, which are one MLP for every token, and room for its hidden values [T, I]."""

    gate: Matrix
    up: Matrix
    down: Matrix
    hidden: Activation


class Cache(NamedTuple):
    """Paged latents. Layer l of page p begins at p * page_bytes + l * layer_bytes of data (u8 flat, writable).

    f16 and f32: 64 tokens, each `latent` then `rope` values, each part padded to 16 values.
    int8: four blocks of 16 tokens; a block is lines of 64 bytes, line i holds values 4i..4i+3 of its 16 tokens (token t
    at bytes 4t..4t+3); latent and rope are each padded to 64 values. Then f32 scales [groups of 64 values, 64 tokens].
    """

    kind: str
    data: np.ndarray
    page_bytes: int
    layer_bytes: int
    latent: int
    rope: int


def cache_widths(kind: str, latent: int, rope: int) -> tuple[int, int]:
    """Padded values of a token: (latent, rope)."""
    multiple = CACHE_GROUP if kind == "int8" else LANES
    return pad(latent, multiple), pad(rope, multiple)


def cache_layer_bytes(kind: str, latent: int, rope: int) -> int:
    """Bytes of one page and layer."""
    width = sum(cache_widths(kind, latent, rope))
    scales = width // CACHE_GROUP * 4 if kind == "int8" else 0
    return PAGE_TOKENS * (width * CACHE_KINDS[kind] + scales)
