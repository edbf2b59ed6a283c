"""The numpy truth of every kernel: the same names and arguments, float64 sums, no tricks.

T tokens, S sequences, H hidden, A heads, N/R/V head widths without position, with position, of values, L kv_lora_rank,
E experts, k chosen experts, I expert width, P a row's pitch (at least the width that counts).
"""

import ctypes

import numpy as np

from ..quant.rows16 import GROUP, ROWS, Matrix, packed_bytes, unpack
from .arrays import (
    CACHE_GROUP,
    PAGE_TOKENS,
    SCALE,
    SUM_INT4,
    SUM_Q8,
    Activation,
    Cache,
    Dispatch,
    Experts,
    Routing,
    SharedExpert,
    cache_widths,
    make_activation,
)

ROUTER_EPS = 1e-20  # modeling_deepseek.py: MoEGate, added to the sum of the chosen weights


def quantize(a: Activation) -> None:
    """Fills a.q and a.s from a.x: scale = absmax / 127 a group of 32, q = rint(x / scale); nothing for f32 compute.

    A group with a NaN or an infinity gets that as its scale and q = 0, so that every product with it is NaN.
    """
    if a.q is None or a.s is None:
        return
    q, scale = _int8_groups(a.x, GROUP)  # [T, C32], [T, G]
    a.q[:] = q
    sums = q.reshape(len(q), -1, GROUP).sum(-1, dtype=np.int32)  # [T, G]
    a.s[..., SCALE] = scale
    a.s.view(np.int32)[..., SUM_INT4] = -8 * sums
    a.s.view(np.int32)[..., SUM_Q8] = -128 * sums


def embed(w: Matrix, ids: np.ndarray, out: np.ndarray) -> None:
    """out f32[T, H] = rows ids i32[T] of w [vocab, H]."""
    block = packed_bytes(w.kind, ROWS, w.cols)
    for t, i in enumerate(ids):
        begin = int(i) // ROWS * block
        out[t, : w.cols] = unpack(Matrix(w.kind, ROWS, w.cols, w.data[begin : begin + block]))[int(i) % ROWS]


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float, out: Activation) -> None:
    """out = x / sqrt(mean(x^2) + eps) * weight, quantised too. x f32[T, P], weight f32[C]."""
    out.x[:, : len(weight)] = _rms_norm(x[:, : len(weight)], weight, eps)
    quantize(out)


def linear(ws: tuple[Matrix, ...], a: Activation, outs: tuple[np.ndarray, ...], add: bool = False) -> None:
    """outs[i][:, :rows] (+)= a ws[i]^T for several matrices of one input. outs[i] f32[T, P]."""
    for w, out in zip(ws, outs, strict=True):
        y = product(w, a)
        out[:, : w.rows] = out[:, : w.rows] + y.astype(np.float32) if add else y


def gate_up(w_gate: Matrix, w_up: Matrix, a: Activation, out: Activation) -> None:
    """out = silu(gate a) * (up a), quantised too. w_gate, w_up [I, H]."""
    out.x[:, : w_gate.rows] = _silu(product(w_gate, a)) * product(w_up, a)
    quantize(out)


def write_latents(
    ckv: np.ndarray,
    norm_weight: np.ndarray,
    eps: float,
    cos: np.ndarray,
    sin: np.ndarray,
    slots: np.ndarray,
    cache: Cache,
    layer: int,
) -> None:
    """Token t's latents go to slot slots[t] = page * 64 + offset of the cache, rounded to its kind.

    ckv f32[T, L + R]: the first L normalised, the last R rotated by cos, sin f32[T, R/2]; slots i64[T].
    """
    latents = _rms_norm(ckv[:, : cache.latent], norm_weight, eps)  # [T, L]
    keys = _rotate(ckv[:, cache.latent : cache.latent + cache.rope], cos, sin)  # [T, R]
    for t, slot in enumerate(slots):
        _store(cache, layer, int(slot), latents[t].astype(np.float32), keys[t].astype(np.float32))


def absorb_queries(k_b: Matrix, q: np.ndarray, cos: np.ndarray, sin: np.ndarray, out: np.ndarray) -> None:
    """out f32[T, A, L + R] = (q_nope W_UK, rotated q_rope) of q f32[T, A, N + R]. k_b [A * pad16(N), L]."""
    heads, latent, nope = q.shape[1], k_b.cols, q.shape[2] - 2 * cos.shape[1]
    q = q.astype(np.float64)
    w = unpack(k_b).astype(np.float64).reshape(heads, -1, latent)[:, :nope]  # [A, N, L]
    out[:, :, :latent] = np.einsum("thn,hnl->thl", q[..., :nope], w)
    out[:, :, latent:] = _rotate(q[..., nope:], cos[:, None], sin[:, None])


def attend_absorbed(
    q: np.ndarray,
    cache: Cache,
    layer: int,
    block_tables: np.ndarray,
    seq_lens: np.ndarray,
    scale: float,
    out: np.ndarray,
) -> None:
    """out f32[S, A, L] = softmax(scale q c) c over the seq_lens[s] cached tokens c of each sequence.

    q f32[S, A, L + R], block_tables i32[S, B], seq_lens i32[S].
    """
    for s, length in enumerate(seq_lens):
        c = cached(cache, layer, block_tables[s], int(length))  # [n, L + R]
        p = _softmax(scale * (q[s].astype(np.float64) @ c.T))  # [A, n]
        out[s] = p @ c[:, : cache.latent]


def project_values(v_b: Matrix, u: np.ndarray, out: Activation) -> None:
    """out.x[:, h * V + j] = W_UV[h, j] u[:, h], quantised too. v_b [A * pad16(V), L], u f32[T, A, L]."""
    heads, rows = u.shape[1], v_b.rows // u.shape[1]
    width = out.cols // heads
    for h in range(heads):
        a = activation(u[:, h], out.q is not None)
        out.x[:, h * width : (h + 1) * width] = product(rows_of(v_b, h * rows, rows), a)[:, :width]
    quantize(out)


def attend_expanded(
    k_b: Matrix,
    v_b: Matrix,
    q: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    query_start_loc: np.ndarray,
    seq_lens: np.ndarray,
    cache: Cache,
    layer: int,
    block_tables: np.ndarray,
    scale: float,
    out: Activation,
) -> None:
    """Causal attention of prompt chunks with keys and values rebuilt from the cache; out quantised too.

    q f32[T, A, N + R], not yet rotated; rows query_start_loc[s]..query_start_loc[s+1]-1 are the last tokens of the
    seq_lens[s] of sequence s; out.x [T, A * V]. k_b [A * pad16(N), L], v_b [A * pad16(V), L].
    """
    heads, nope, values = q.shape[1], q.shape[2] - 2 * cos.shape[1], out.cols // q.shape[1]
    q = q.astype(np.float64)
    q_rope = _rotate(q[..., nope:], cos[:, None], sin[:, None])  # [T, A, R]
    for s, length in enumerate(seq_lens):
        begin, end = query_start_loc[s], query_start_loc[s + 1]
        c = cached(cache, layer, block_tables[s], int(length))  # [n, L + R]
        a = activation(c[:, : cache.latent].astype(np.float32), out.q is not None)
        k = product(k_b, a).reshape(len(c), heads, -1)[..., :nope]  # [n, A, N]
        v = product(v_b, a).reshape(len(c), heads, -1)[..., :values]  # [n, A, V]
        scores = np.einsum("thi,nhi->htn", q[begin:end, :, :nope], k)
        scores += np.einsum("thi,ni->htn", q_rope[begin:end], c[:, cache.latent :])
        hidden = np.arange(length) > np.arange(length - (end - begin), length)[:, None]  # [t, n]
        p = _softmax(np.where(hidden, -np.inf, scale * scores))
        out.x[begin:end, : out.cols] = np.einsum("htn,nhv->thv", p, v).reshape(end - begin, -1)
    quantize(out)


def route(x: np.ndarray, w: np.ndarray, bias: np.ndarray, routing: Routing, dispatch: Dispatch) -> None:
    """Experts of each token, ascending, ids i32[T, k] and weights f32[T, k] (DeepSeek-V3 report, sec. 2.1.2); sorted.

    p = sigmoid(x w^T); the top_k of p + bias, within the topk_group groups whose two best are best (the others count
    as -inf); weights are p of the chosen (/ their sum + 1e-20) * factor. Equal scores: the lower id. NaN or infinity
    among a token's logits or the bias: all its weights are NaN.
    x f32[T, P], w f32[E, H], bias f32[E].
    """
    logits = (x[:, : w.shape[1]].astype(np.float64) @ w.T.astype(np.float64)).astype(np.float32)
    p = _sigmoid(logits.astype(np.float64)).astype(np.float32)  # [T, E]
    score = dispatch.scores[:] = p + bias
    if routing.n_group > 1:
        groups = score.reshape(len(x), routing.n_group, -1)
        best = -np.sort(-groups, axis=-1)[..., :2].sum(-1)  # [T, n_group]
        chosen = np.argsort(-best, axis=-1, kind="stable")[:, : routing.topk_group]
        keep = np.zeros(best.shape, bool)
        np.put_along_axis(keep, chosen, True, axis=-1)
        score = np.where(keep[..., None], groups, np.float32(-np.inf)).reshape(score.shape)
    chosen = np.sort(np.argsort(-score, axis=-1, kind="stable")[:, : routing.top_k], axis=-1)
    picked = np.take_along_axis(p, chosen, axis=-1).astype(np.float64)
    if routing.norm_topk_prob:
        picked /= picked.sum(-1, keepdims=True) + ROUTER_EPS
    dispatch.ids[:] = chosen
    dispatch.weights[:] = picked * routing.routed_scaling_factor + 0 * (logits + bias).sum(-1, keepdims=True)
    sort(dispatch)


def sort(dispatch: Dispatch) -> None:
    """Fills order, active, first and num_active from ids."""
    flat = dispatch.ids.reshape(-1)
    active, counts = np.unique(flat, return_counts=True)
    dispatch.order[:] = np.argsort(flat, kind="stable")
    dispatch.active[: len(active)] = active
    dispatch.first[: len(active) + 1] = [0, *np.cumsum(counts)]
    dispatch.num_active[0] = len(active)


def experts_gate_up(
    e: Experts,
    a: Activation,
    dispatch: Dispatch,
    hidden: Activation,
    which: np.ndarray | None = None,
    shared: SharedExpert | None = None,
) -> None:
    """Rows of hidden [T * k, I], sorted by expert = silu(gate a) * (up a), quantised too.

    which i64[n]: of the experts at these places of dispatch.active, in any order; None: of all. The shared expert, if
    there is one, computes its own rows as well.
    """
    top_k = dispatch.ids.shape[1]
    for place in range(dispatch.num_active[0]) if which is None else which:
        begin, end = dispatch.first[place], dispatch.first[place + 1]
        tokens = dispatch.order[begin:end] // top_k
        gate, up, _ = expert(e, dispatch.active[place])
        x = Activation(*(None if field is None else field[tokens] for field in a[:3]), a.cols)
        gate_up(gate, up, x, hidden.rows(begin, end))
    if shared is not None:
        gate_up(shared.gate, shared.up, a, shared.hidden)


def experts_down(
    e: Experts,
    hidden: Activation,
    dispatch: Dispatch,
    out: np.ndarray,
    begin: int = 0,
    end: int | None = None,
    add: bool = True,
    shared: SharedExpert | None = None,
) -> None:
    """out f32[T, P] (+)= sum over the experts at places begin..end-1 of dispatch.active of weight * (down hidden).

    In ascending expert id; what the shared expert gives is added last. end: by default the list's.
    """
    total = np.zeros((len(dispatch.ids), e.cols))
    for place in range(begin, dispatch.num_active[0] if end is None else end):
        rows = slice(dispatch.first[place], dispatch.first[place + 1])
        tokens, choices = np.divmod(dispatch.order[rows], dispatch.ids.shape[1])
        down = expert(e, dispatch.active[place])[2]
        total[tokens] += dispatch.weights[tokens, choices, None] * product(down, hidden.rows(rows.start, rows.stop))
    if shared is not None:
        total += product(shared.down, shared.hidden)
    out[:, : e.cols] = out[:, : e.cols] + total if add else total


def expert(e: Experts, number: int) -> list[Matrix]:
    """Gate, up and down of one expert, views of the memory at its address."""
    matrices = []
    for kind, offset, shape in zip(
        e.kinds,
        (e.gate_offset, e.up_offset, e.down_offset),
        ((e.rows, e.cols), (e.rows, e.cols), (e.cols, e.rows)),
        strict=True,
    ):
        data = (ctypes.c_uint8 * packed_bytes(kind, *shape)).from_address(int(e.address[number]) + offset)
        matrices.append(Matrix(kind, *shape, np.frombuffer(data, np.uint8)))
    return matrices


def activation(x: np.ndarray, int8: bool) -> Activation:
    """x [T, C] as an activation of its own, quantised."""
    a = make_activation(*x.shape, int8)
    a.x[:, : x.shape[1]] = x
    quantize(a)
    return a


def rows_of(w: Matrix, begin: int, rows: int) -> Matrix:
    """Rows begin..begin+rows-1 of a packed matrix, begin a multiple of 16."""
    at = packed_bytes(w.kind, begin, w.cols)
    return Matrix(w.kind, rows, w.cols, w.data[at : at + packed_bytes(w.kind, rows, w.cols)])


def product(w: Matrix, a: Activation) -> np.ndarray:
    """a w^T as f64[T, rows]. int8: q * scale instead of x, except for bf16 matrices, which have no integers."""
    x = a.x
    if a.q is not None and a.s is not None and w.kind != "bf16":
        x = a.q.astype(np.float64) * np.repeat(a.s[..., SCALE], GROUP, axis=1)
    return x[:, : w.cols].astype(np.float64) @ unpack(w).T.astype(np.float64)


def cached(cache: Cache, layer: int, pages: np.ndarray, length: int) -> np.ndarray:
    """The first `length` tokens of a sequence as the cache holds them, f64[n, L + R]."""
    pages = pages[: -(-length // PAGE_TOKENS)]
    parts = [_page(cache, layer, int(page)) for page in pages] or [np.zeros((0, cache.latent + cache.rope))]
    return np.concatenate(parts)[:length]


def _page(cache: Cache, layer: int, page: int) -> np.ndarray:
    """A page's tokens f64[64, L + R]."""
    values, scales = _page_arrays(cache, layer, page)
    if scales is not None:
        values = values.transpose(0, 2, 1, 3).reshape(PAGE_TOKENS, -1)  # [64, width]
        values = values.astype(np.float64) * np.repeat(scales.T, CACHE_GROUP, axis=1)
    at = cache_widths(cache.kind, cache.latent, cache.rope)[0]
    return np.concatenate([values[:, : cache.latent], values[:, at : at + cache.rope]], axis=1).astype(np.float64)


def _page_arrays(cache: Cache, layer: int, page: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Views of a page: float values [64, width], or int8 [4 blocks, lines, 16 tokens, 4] and scales f32[groups, 64]."""
    width = sum(cache_widths(cache.kind, cache.latent, cache.rope))
    begin = page * cache.page_bytes + layer * cache.layer_bytes
    data = cache.data[begin : begin + cache.layer_bytes]
    if cache.kind != "int8":
        return data.view(np.float16 if cache.kind == "f16" else np.float32).reshape(PAGE_TOKENS, width), None
    values = data[: PAGE_TOKENS * width].view(np.int8).reshape(PAGE_TOKENS // ROWS, width // 4, ROWS, 4)
    return values, data[PAGE_TOKENS * width :].view(np.float32).reshape(width // CACHE_GROUP, PAGE_TOKENS)


def _store(cache: Cache, layer: int, slot: int, latent: np.ndarray, key: np.ndarray) -> None:
    """One token's latent f32[L] and key f32[R] into its slot."""
    values, scales = _page_arrays(cache, layer, slot // PAGE_TOKENS)
    t = slot % PAGE_TOKENS
    widths = cache_widths(cache.kind, cache.latent, cache.rope)
    row = np.zeros(sum(widths), np.float32)
    row[: cache.latent] = latent
    row[widths[0] : widths[0] + cache.rope] = key
    if scales is None:
        with np.errstate(over="ignore"):
            values[t] = row
        return
    q, scale = _int8_groups(row[None], CACHE_GROUP)
    values[t // ROWS, :, t % ROWS] = q.reshape(-1, 4)
    scales[:, t] = scale[0]


def _int8_groups(x: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray]:
    """(q i8[T, C], scale f32[T, C / group]) of x f32[T, C]; see quantize."""
    groups = x.reshape(len(x), -1, group)
    scale = np.abs(groups).max(-1) / np.float32(127)
    usable = np.isfinite(scale) & (scale > 0)
    with np.errstate(invalid="ignore", over="ignore"):
        q = np.clip(np.rint(groups / np.where(usable, scale, np.float32(1))[..., None]), -127, 127)
    return np.where(usable[..., None], q, 0).astype(np.int8).reshape(x.shape), scale


def _rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    x = x[:, : len(weight)].astype(np.float64)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def _rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """RoPE on neighbouring pairs of the last axis (rope_interleave; modeling_deepseek_v3.py)."""
    even, odd = x[..., 0::2].astype(np.float64), x[..., 1::2].astype(np.float64)
    return np.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1).reshape(x.shape)


def _softmax(x: np.ndarray) -> np.ndarray:
    p = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return p / p.sum(-1, keepdims=True)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _silu(x: np.ndarray) -> np.ndarray:
    return x * _sigmoid(x)
