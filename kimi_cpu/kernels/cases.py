"""One table of cases for tests and benchmarks: what to call, what comes out, how exact it is, and what it costs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..quant.rows16 import Matrix, pack, packed_bytes, pad
from . import reference
from .arrays import (
    PAGE_TOKENS,
    Activation,
    Cache,
    Dispatch,
    Experts,
    Routing,
    SharedExpert,
    cache_layer_bytes,
    cache_widths,
    make_activation,
    make_dispatch,
)

F32_SUM = 2e-5  # f32 sums of thousands of products against float64, of the largest result
INT8_ONCE = 2e-5  # integer sums are exact; the groups are added in f32
ROUNDED = 0.012  # int8 results themselves: one step of 1/127


Kinds = str | tuple[str, ...]  # of several matrices, or of all of them


class Problem(NamedTuple):
    """Arguments of one call, and the arrays that it fills."""

    arguments: tuple
    outputs: tuple[np.ndarray, ...]


class Case(NamedTuple):
    """A kernel on one shape. tolerance: largest error, as a share of the largest magnitude in the reference."""

    name: str
    kernel: str
    build: Callable[[np.random.Generator], Problem]
    tolerance: float
    weight_bytes: int = 0  # read from memory once a call
    macs: int = 0  # multiply-adds a call


def matrix(rng: np.random.Generator, kind: str, rows: int, cols: int) -> Matrix:
    """A random matrix whose products with unit inputs are about 1; read-only, as a mapped file is."""
    data = pack(kind, rng.standard_normal((rows, cols), np.float32) / np.float32(np.sqrt(cols)))
    data.flags.writeable = False
    return Matrix(kind, rows, cols, data)


def big_matrix(rng: np.random.Generator, kind: str, rows: int, cols: int) -> Matrix:
    """A matrix of many rows: 64 random ones, repeated."""
    few = matrix(rng, kind, 64, cols)
    data = np.tile(few.data, pad(rows, 64) // 64)[: packed_bytes(kind, rows, cols)]
    return Matrix(kind, rows, cols, data)


def head_matrix(rng: np.random.Generator, kind: str, heads: int, rows: int, cols: int) -> Matrix:
    """A half of kv_b: each head's rows padded to 16 with zeros."""
    x = np.zeros((heads, pad(rows, 16), cols), np.float32)
    x[:, :rows] = rng.standard_normal((heads, rows, cols), np.float32) / np.float32(np.sqrt(cols))
    return Matrix(kind, heads * pad(rows, 16), cols, pack(kind, x.reshape(-1, cols)))


def inputs(rng: np.random.Generator, tokens: int, cols: int, int8: bool) -> Activation:
    """Random activations of unit size, quantised."""
    a = make_activation(tokens, cols, int8)
    a.x[:, :cols] = rng.standard_normal((tokens, cols), np.float32)
    reference.quantize(a)
    return a


def linear(kind: str, int8: bool, tokens: int, rows: int, cols: int, add: bool = False, more: int = 0) -> Case:
    """One or (more: rows of a second) two matrices of one input."""

    def build(rng: np.random.Generator) -> Problem:
        make = big_matrix if rows > 1024 else matrix
        ws = (make(rng, kind, rows, cols), *([matrix(rng, "q8", more, cols)] if more else []))
        outs = tuple(rng.standard_normal((tokens, w.rows + 3), np.float32) for w in ws)
        return Problem((ws, inputs(rng, tokens, cols, int8), outs, add), outs)

    size = packed_bytes(kind, rows, cols) + (packed_bytes("q8", more, cols) if more else 0)
    tolerance = INT8_ONCE if int8 else F32_SUM
    return Case(_name("linear", kind, int8, tokens, rows, cols), "linear", build, tolerance, size, tokens * rows * cols)


def gate_up(kinds: Kinds, int8: bool, tokens: int, rows: int, cols: int) -> Case:
    """kinds: of gate and up, or of both."""
    kinds = (kinds, kinds) if isinstance(kinds, str) else kinds

    def build(rng: np.random.Generator) -> Problem:
        make = big_matrix if rows > 1024 else matrix
        out = make_activation(tokens, rows, int8)
        gate, up = (make(rng, kind, rows, cols) for kind in kinds)
        return Problem((gate, up, inputs(rng, tokens, cols, int8), out), activation_outputs(out))

    size, macs = sum(packed_bytes(kind, rows, cols) for kind in kinds), 2 * tokens * rows * cols
    name = _name("gate_up", _shown(kinds), int8, tokens, rows, cols)
    return Case(name, "gate_up", build, ROUNDED, size, macs)


def activation_outputs(out: Activation) -> tuple[np.ndarray, ...]:
    """The arrays of an activation that a kernel fills: values, and for int8 the integers and scales made of them."""
    return (out.x,) if out.q is None or out.s is None else (out.x, out.q, out.s[..., 0])


def experts_gate_up(
    kinds: Kinds,
    int8: bool,
    tokens: int,
    num: int,
    top_k: int,
    rows: int,
    cols: int,
    shared: tuple[str, int] | None = None,
    which: tuple[int, ...] | None = None,
) -> Case:
    """kinds: of gate, up and down, or of all three. shared: kind and rows of the shared expert's matrices."""

    def build(rng: np.random.Generator) -> Problem:
        e, dispatch = random_experts(rng, kinds, num, rows, cols), random_dispatch(rng, tokens, num, top_k)
        hidden, a = make_activation(tokens * top_k, rows, int8), inputs(rng, tokens, cols, int8)
        places = None if which is None else np.array(which)
        other = shared and shared_expert(rng, *shared, tokens, cols, int8)
        outputs = activation_outputs(hidden) + (activation_outputs(other.hidden) if other else ())
        return Problem((e, a, dispatch, hidden, places, other), outputs)

    size = sum(packed_bytes(*part) for part in expert_parts(kinds, rows, cols)[:2]) * min(num, tokens * top_k)
    name = _name("experts_gate_up", _shown(kinds, shared), int8, tokens, rows, cols)
    return Case(name, "experts_gate_up", build, ROUNDED, size, 2 * tokens * top_k * rows * cols)


def experts_down(
    kinds: Kinds,
    int8: bool,
    tokens: int,
    num: int,
    top_k: int,
    rows: int,
    cols: int,
    shared: tuple[str, int] | None = None,
    span: tuple[int, int | None] = (0, None),
    add: bool = True,
) -> Case:
    """kinds, shared: as in `experts_gate_up`. span: the places of the experts, begin and end."""

    def build(rng: np.random.Generator) -> Problem:
        e, dispatch = random_experts(rng, kinds, num, rows, cols), random_dispatch(rng, tokens, num, top_k)
        hidden, out = inputs(rng, tokens * top_k, rows, int8), rng.standard_normal((tokens, cols + 1), np.float32)
        other = shared and shared_expert(rng, *shared, tokens, cols, int8)
        return Problem((e, hidden, dispatch, out, *span, add, other), (out,))

    size = packed_bytes(*expert_parts(kinds, rows, cols)[2]) * min(num, tokens * top_k)
    name = _name("experts_down", _shown(kinds, shared), int8, tokens, rows, cols)
    tolerance = INT8_ONCE if int8 else F32_SUM
    return Case(name, "experts_down", build, tolerance, size, tokens * top_k * rows * cols)


def expert_parts(kinds: Kinds, rows: int, cols: int) -> list[tuple[str, int, int]]:
    """(kind, rows, cols) of gate, up and down."""
    kinds = (kinds,) * 3 if isinstance(kinds, str) else kinds
    return [(kinds[0], rows, cols), (kinds[1], rows, cols), (kinds[2], cols, rows)]


def random_experts(rng: np.random.Generator, kinds: Kinds, num: int, rows: int, cols: int) -> Experts:
    """Experts of the same random weights."""
    parts = expert_parts(kinds, rows, cols)
    gate, up, down = (big_matrix(rng, *part).data for part in parts)
    data = np.zeros((num, pad(len(gate) + len(up) + len(down), 4096)), np.uint8)
    data[:, : len(gate) + len(up) + len(down)] = np.concatenate([gate, up, down])
    address = data.ctypes.data + data.strides[0] * np.arange(num)
    kinds = parts[0][0], parts[1][0], parts[2][0]
    return Experts(kinds, data, address, 0, len(gate), len(gate) + len(up), rows, cols)


def random_dispatch(rng: np.random.Generator, tokens: int, num: int, top_k: int) -> Dispatch:
    """Random experts with random weights."""
    dispatch = make_dispatch(tokens, num, top_k)
    dispatch.ids[:] = np.sort(np.argsort(rng.random((tokens, num)), axis=1)[:, :top_k], axis=1)
    dispatch.weights[:] = rng.random((tokens, top_k), np.float32)
    reference.sort(dispatch)
    return dispatch


def shared_expert(rng: np.random.Generator, kind: str, rows: int, tokens: int, cols: int, int8: bool) -> SharedExpert:
    """One with random hidden values."""
    shapes = (rows, cols), (rows, cols), (cols, rows)
    return SharedExpert(*(matrix(rng, kind, *shape) for shape in shapes), inputs(rng, tokens, rows, int8))


def route(tokens: int, num: int, cols: int, top_k: int, groups: int = 1, kept: int = 1, normalise: bool = True) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        w = rng.standard_normal((num, cols), np.float32) / np.float32(np.sqrt(cols))
        x = rng.standard_normal((tokens, cols + 5), np.float32)
        bias = rng.standard_normal(num).astype(np.float32) / 10
        dispatch = make_dispatch(tokens, num, top_k)
        return Problem((x, w, bias, Routing(top_k, groups, kept, normalise, 2.5), dispatch), tuple(dispatch))

    return Case(f"route t{tokens} {num}x{cols}", "route", build, F32_SUM, 4 * num * cols, tokens * num * cols)


def rms_norm(int8: bool, tokens: int, cols: int) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        out = make_activation(tokens, cols, int8)
        x, w = rng.standard_normal((tokens, cols + 2), np.float32), rng.random(cols, np.float32)
        return Problem((x, w, 1e-6, out), activation_outputs(out))

    return Case(_name("rms_norm", "f32", int8, tokens, cols, cols), "rms_norm", build, ROUNDED if int8 else 2e-6)


def embed(kind: str, rows: int, cols: int) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        out = np.zeros((7, cols), np.float32)
        return Problem((matrix(rng, kind, rows, cols), rng.integers(0, rows, 7).astype(np.int32), out), (out,))

    return Case(f"embed {kind} {rows}x{cols}", "embed", build, 1e-7)


def random_cache(rng: np.random.Generator, kind: str, latent: int, rope: int, lens: list[int]) -> tuple:
    """(cache of two layers with random tokens in layer 1, block tables i32[S, B], seq_lens i32[S])."""
    layer_bytes = cache_layer_bytes(kind, latent, rope)
    blocks = [-(-n // PAGE_TOKENS) for n in lens]
    total = sum(blocks)
    cache = Cache(kind, np.zeros(2 * layer_bytes * (total + 1), np.uint8), 2 * layer_bytes, layer_bytes, latent, rope)
    order = rng.permutation(total) + 1
    tables = np.zeros((len(lens), max(blocks) + 1), np.int32)
    for s, n in enumerate(lens):
        tables[s, : blocks[s]], order = order[: blocks[s]], order[blocks[s] :]
        slots = tables[s, np.arange(n) // PAGE_TOKENS].astype(np.int64) * PAGE_TOKENS + np.arange(n) % PAGE_TOKENS
        angles = rng.random((n, rope // 2)).astype(np.float32)
        ckv = rng.standard_normal((n, latent + rope), np.float32)
        weight = np.ones(latent, np.float32)
        reference.write_latents(ckv, weight, 1e-6, np.cos(angles), np.sin(angles), slots, cache, 1)
    return cache, tables, np.array(lens, np.int32)


def write_latents(kind: str, tokens: int, latent: int, rope: int) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        cache, _, _ = random_cache(rng, kind, latent, rope, [tokens])
        slots = rng.permutation(len(cache.data) // cache.page_bytes * PAGE_TOKENS)[:tokens].astype(np.int64)
        angles = rng.random((tokens, rope // 2)).astype(np.float32) * 6
        ckv = rng.standard_normal((tokens, latent + rope), np.float32)
        weight = rng.random(latent, np.float32)
        arguments = (ckv, weight, 1e-6, np.cos(angles), np.sin(angles), slots, cache, 0)
        return Problem(arguments, _cache_outputs(cache))

    tolerance = {"f32": 2e-6, "f16": 1e-3, "int8": ROUNDED}[kind]
    return Case(f"write_latents {kind} t{tokens} {latent}+{rope}", "write_latents", build, tolerance)


def _cache_outputs(cache: Cache) -> tuple[np.ndarray, ...]:
    """Views of all values, and of the scales of an int8 cache."""
    layers = cache.data.reshape(-1, cache.layer_bytes)
    if cache.kind != "int8":
        return (layers.view(np.float16 if cache.kind == "f16" else np.float32),)
    values = PAGE_TOKENS * sum(cache_widths(cache.kind, cache.latent, cache.rope))
    return layers[:, :values].view(np.int8), layers[:, values:].view(np.float32)


def absorb_queries(kind: str, tokens: int, heads: int, nope: int, rope: int, latent: int) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        q = rng.standard_normal((tokens, heads, nope + rope), np.float32)
        out = np.zeros((tokens, heads, latent + rope), np.float32)
        angles = rng.random((tokens, rope // 2)).astype(np.float32) * 6
        k_b = head_matrix(rng, kind, heads, nope, latent)
        return Problem((k_b, q, np.cos(angles), np.sin(angles), out), (out,))

    size = packed_bytes(kind, heads * pad(nope, 16), latent)
    name = f"absorb_queries {kind} t{tokens} {heads}x{nope}x{latent}"
    return Case(name, "absorb_queries", build, F32_SUM, size, tokens * heads * nope * latent)


def project_values(kind: str, int8: bool, tokens: int, heads: int, width: int, latent: int) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        out = make_activation(tokens, heads * width, int8)
        v_b = head_matrix(rng, kind, heads, width, latent)
        return Problem((v_b, rng.standard_normal((tokens, heads, latent), np.float32), out), activation_outputs(out))

    size = packed_bytes(kind, heads * pad(width, 16), latent)
    name = _name("project_values", kind, int8, tokens, heads * width, latent)
    return Case(name, "project_values", build, ROUNDED, size, tokens * heads * width * latent)


def attend_absorbed(kind: str, lens: list[int], heads: int, latent: int, rope: int) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        cache, tables, seq_lens = random_cache(rng, kind, latent, rope, lens)
        q = rng.standard_normal((len(lens), heads, latent + rope), np.float32)
        out = np.zeros((len(lens), heads, latent), np.float32)
        return Problem((q, cache, 1, tables, seq_lens, 0.1, out), (out,))

    size = sum(-(-n // PAGE_TOKENS) for n in lens) * cache_layer_bytes(kind, latent, rope)
    macs = sum(lens) * heads * (2 * latent + rope)
    shown = f"{len(lens)} x {lens[0]}" if len(lens) > 4 and len(set(lens)) == 1 else lens
    name = f"attend_absorbed {kind} {shown} {heads}x{latent}+{rope}"
    return Case(name, "attend_absorbed", build, 0.02 if kind == "int8" else F32_SUM, size, macs)


def attend_expanded(
    kind: str,
    weights: Kinds,
    int8: bool,
    lens: list[int],
    new: list[int],
    heads: int,
    widths: tuple[int, int, int, int],
) -> Case:
    """weights: kind of k_b and v_b, or of both. widths: N, R, V, L."""
    kinds = (weights, weights) if isinstance(weights, str) else weights
    nope, rope, value, latent = widths

    def build(rng: np.random.Generator) -> Problem:
        cache, tables, seq_lens = random_cache(rng, kind, latent, rope, lens)
        tokens = sum(new)
        q = rng.standard_normal((tokens, heads, nope + rope), np.float32)
        angles = rng.random((tokens, rope // 2)).astype(np.float32) * 6
        starts = np.concatenate([[0], np.cumsum(new)]).astype(np.int32)
        k_b, v_b = (
            head_matrix(rng, kind, heads, width, latent) for kind, width in zip(kinds, (nope, value), strict=True)
        )
        out = make_activation(tokens, heads * value, int8)
        arguments = (k_b, v_b, q, np.cos(angles), np.sin(angles), starts, seq_lens, cache, 1, tables, 0.1, out)
        return Problem(arguments, activation_outputs(out))

    pairs = sum(m * n - m * (m - 1) // 2 for n, m in zip(lens, new, strict=True))
    macs = heads * (pairs * (nope + rope + value) + sum(lens) * latent * (nope + value))
    name = f"attend_expanded {kind} {_shown(kinds)}{' int8' if int8 else ''} {new} of {lens}"
    return Case(name, "attend_expanded", build, ROUNDED, 0, macs)


def _shown(kinds: Kinds, shared: tuple[str, int] | None = None) -> str:
    """Kinds in a case's name."""
    shown = kinds if isinstance(kinds, str) else "/".join(dict.fromkeys(kinds))
    return f"{shown} + {shared[0]} {shared[1]}" if shared else shown


def _name(kernel: str, kind: str, int8: bool, tokens: int, rows: int, cols: int) -> str:
    return f"{kernel} {kind}{' int8' if int8 else ''} t{tokens} {rows}x{cols}"


def small() -> list[Case]:
    """Odd shapes, all kinds: what the tests compare with the reference."""
    cases = []
    for int8 in (True, False):
        for kind in ("int4", "q8", "bf16"):
            cols = 96 if kind == "int4" else 75
            cases += [linear(kind, int8, t, 33, cols, add=t % 2 == 0, more=17) for t in (1, 2, 5, 16, 37)]
            cases += [gate_up(kind, int8, t, 41, cols) for t in (1, 19)]
            cases.append(project_values(kind, int8, 3, 3, 18, 64 if kind == "int4" else 70))
            cases.append(project_values(kind, int8, 2, 2, 32, 64))
        for half in (experts_gate_up, experts_down):
            cases += [half("int4", int8, t, 5, 2, 64, 96) for t in (1, 23)]
            cases += [half("int4", int8, 3, 5, 2, 64, 96, shared=(kind, 75)) for kind in ("q8", "bf16")]
            for kinds in (("int4", "int4", "q8"), ("q8", "bf16", "int4"), ("bf16", "int4", "bf16")):
                cases += [half(kinds, int8, t, 5, 2, 64, 96) for t in (1, 23)]
        cases += [experts_gate_up("int4", int8, t, 5, 2, 64, 96, which=(1, 0)) for t in (1, 23)]
        cases += [experts_down("int4", int8, t, 5, 2, 64, 96, span=(1, 2)) for t in (1, 23)]
        cases.append(experts_down("int4", int8, 23, 5, 2, 64, 96, shared=("q8", 41), add=False))
        for kinds in (("int4", "q8"), ("q8", "bf16"), ("bf16", "int4")):
            cases += [gate_up(kinds, int8, t, 41, 96) for t in (1, 19)]
        cases += [rms_norm(int8, t, 75) for t in (1, 9)]
        for kind in ("f16", "f32", "int8"):
            for weights in ("q8", "bf16", ("q8", "bf16"), ("bf16", "q8")):
                cases.append(attend_expanded(kind, weights, int8, [5, 200], [5, 71], 3, (20, 8, 18, 70)))
    for kind in ("f16", "f32", "int8"):
        cases += [write_latents(kind, t, 70, 8) for t in (1, 9)]
        cases.append(attend_absorbed(kind, [1, 64, 1100, 131], 5, 70, 8))
        cases.append(attend_absorbed(kind, [3, 190], 70, 260, 8))  # whole tiles of heads and of scales, and some left
    for kind in ("int4", "q8", "bf16"):
        cases.append(embed(kind, 50, 96))
        cases.append(absorb_queries(kind, 5, 3, 36, 8, 288 if kind == "int4" else 300))
    cases += [route(t, 13, 75, 3) for t in (1, 9)]
    cases += [route(6, 16, 33, 4, groups=4, kept=2, normalise=False)]
    return cases


def large(tokens: int) -> list[Case]:
    """K2's widths (config.json of Kimi-K2-Thinking), a decode step of `tokens` sequences or a chunk of prompt."""
    cases = [
        experts_gate_up("int4", True, tokens, 24, 8, 2048, 7168),
        experts_down("int4", True, tokens, 24, 8, 2048, 7168),
        linear("q8", True, tokens, 1536, 7168, more=576),
        linear("q8", True, tokens, 12288, 1536),
        linear("q8", True, tokens, 7168, 8192),
        gate_up("q8", True, tokens, 2048, 7168),
        route(tokens, 384, 7168, 8),
    ]
    if tokens <= 16:
        cases.append(absorb_queries("q8", tokens, 64, 128, 64, 512))
        cases.append(project_values("q8", True, tokens, 64, 128, 512))
        depths = [[4096] * tokens, [16384]] if tokens == 1 else [[4096] * tokens]
        cases += [attend_absorbed(kind, lens, 64, 512, 64) for lens in depths for kind in ("f16", "int8")]
    else:
        cases.append(attend_expanded("f16", "q8", True, [tokens], [tokens], 64, (128, 64, 128, 512)))
    return cases
