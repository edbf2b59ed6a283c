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
    Experts,
    Routing,
    SharedExpert,
    cache_layer_bytes,
    cache_widths,
    make_activation,
)

F32_SUM = 2e-5  # f32 sums of thousands of products against float64, of the largest result
INT8_ONCE = 2e-5  # integer sums are exact; the groups are added in f32
INT8_AGAIN = 0.02  # results that are rounded to int8 on the way: one step of 1/127 of a group's largest, some flips
ROUNDED = 0.012  # int8 results themselves: one step of 1/127


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
    """The same for many rows: 64 random rows, repeated."""
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


def gate_up(kinds: str | tuple[str, str], int8: bool, tokens: int, rows: int, cols: int) -> Case:
    """kinds: of gate and up, or of both."""
    kinds = (kinds, kinds) if isinstance(kinds, str) else kinds

    def build(rng: np.random.Generator) -> Problem:
        make = big_matrix if rows > 1024 else matrix
        out = make_activation(tokens, rows, int8)
        gate, up = (make(rng, kind, rows, cols) for kind in kinds)
        return Problem((gate, up, inputs(rng, tokens, cols, int8), out), activation_outputs(out))

    size, macs = sum(packed_bytes(kind, rows, cols) for kind in kinds), 2 * tokens * rows * cols
    name = _name("gate_up", "/".join(dict.fromkeys(kinds)), int8, tokens, rows, cols)
    return Case(name, "gate_up", build, ROUNDED, size, macs)


def activation_outputs(out: Activation) -> tuple[np.ndarray, ...]:
    """What a kernel leaves in an activation: values, and what int8 makes of them (the integers differ by flips)."""
    return (out.x,) if out.q is None else (out.x, out.q, out.s[..., 0])


def experts(
    kinds: str | tuple[str, str, str],
    int8: bool,
    tokens: int,
    num: int,
    top_k: int,
    rows: int,
    cols: int,
    add: bool = True,
    shared: tuple[str, int] | None = None,
) -> Case:
    """kinds: of gate, up and down, or of all three. shared: kind and rows of the shared expert's matrices."""
    kinds = (kinds,) * 3 if isinstance(kinds, str) else kinds
    shapes = (rows, cols), (rows, cols), (cols, rows)
    ends = np.cumsum([packed_bytes(kind, *shape) for kind, shape in zip(kinds, shapes, strict=True)]).tolist()

    def build(rng: np.random.Generator) -> Problem:
        stride = pad(ends[2], 4096)
        one = np.zeros(stride, np.uint8)
        for kind, shape, begin, end in zip(kinds, shapes, (0, *ends), ends, strict=False):
            one[begin:end] = big_matrix(rng, kind, *shape).data
        data = np.tile(one, num)
        offsets = np.arange(num, dtype=np.int64) * stride
        e = Experts(kinds, data, offsets, 0, ends[0], ends[1], rows, cols)
        ids = np.sort(np.argsort(rng.random((tokens, num)), axis=1)[:, :top_k], axis=1).astype(np.int32)
        weights = rng.random((tokens, top_k), np.float32)
        out = rng.standard_normal((tokens, cols + 1), np.float32)
        hidden = make_activation(tokens * top_k, rows, int8)
        a = inputs(rng, tokens, cols, int8)
        return Problem((e, a, ids, weights, hidden, out, add, shared_expert(rng)), (out,))

    def shared_expert(rng: np.random.Generator) -> SharedExpert | None:
        if shared is None:
            return None
        its_kind, inner = shared
        gate, up, down = (matrix(rng, its_kind, *shape) for shape in ((inner, cols), (inner, cols), (cols, inner)))
        return SharedExpert(gate, up, down, make_activation(tokens, inner, int8))

    macs = 3 * tokens * top_k * rows * cols
    size = ends[2] * min(num, tokens * top_k)
    tolerance = INT8_AGAIN if int8 else F32_SUM
    kind = "/".join(dict.fromkeys(kinds))
    name = _name("experts", kind, int8, tokens, rows, cols) + (f" + {shared[0]} {shared[1]}" if shared else "")
    return Case(name, "experts", build, tolerance, size, macs)


def route(tokens: int, num: int, cols: int, top_k: int, groups: int = 1, kept: int = 1, normalise: bool = True) -> Case:
    def build(rng: np.random.Generator) -> Problem:
        w = rng.standard_normal((num, cols), np.float32) / np.float32(np.sqrt(cols))
        ids, weights = np.zeros((tokens, top_k), np.int32), np.zeros((tokens, top_k), np.float32)
        x = rng.standard_normal((tokens, cols + 5), np.float32)
        bias = rng.standard_normal(num).astype(np.float32) / 10
        routing = Routing(top_k, groups, kept, normalise, 2.5)
        return Problem((x, w, bias, routing, ids, weights), (ids, weights))

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
    weights: str | tuple[str, str],
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
    name = f"attend_expanded {kind} {'/'.join(dict.fromkeys(kinds))}{' int8' if int8 else ''} {new} of {lens}"
    return Case(name, "attend_expanded", build, ROUNDED, 0, macs)


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
        cases += [experts("int4", int8, t, 5, 2, 64, 96, add=t == 1) for t in (1, 23)]
        cases += [experts("int4", int8, 3, 5, 2, 64, 96, shared=(kind, 75)) for kind in ("q8", "bf16")]
        cases.append(experts("int4", int8, 23, 5, 2, 64, 96, add=False, shared=("q8", 41)))
        for kinds in (("int4", "q8"), ("q8", "bf16"), ("bf16", "int4")):
            cases += [gate_up(kinds, int8, t, 41, 96) for t in (1, 19)]
        for kinds in (("int4", "int4", "q8"), ("q8", "bf16", "int4"), ("bf16", "int4", "bf16")):
            cases += [experts(kinds, int8, t, 5, 2, 64, 96) for t in (1, 23)]
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
        experts("int4", True, tokens, 24, 8, 2048, 7168),
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
