"""A context of 262,144 tokens: attention over all of it, and, with KIMI_CPU_TEST_LONG, a model that fills it."""

import os

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.kernels import (
    Cache,
    attend_absorbed,
    attend_expanded,
    cache_layer_bytes,
    cases,
    make_activation,
    reference,
)
from kimi_cpu.kernels.arrays import CACHE_GROUP, PAGE_TOKENS, cache_widths
from tests import tiny

CONTEXT = 262_144
SMALL = {  # one dense layer, so that the reference needs the queries that are looked at and no others
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": CONTEXT,
    "rope_scaling": tiny.YARN | {"original_max_position_embeddings": 4096},
}
LATENT, NOPE, ROPE, VALUES, HEADS = 32, 16, 8, 16, 2  # tiny's widths
ABSORBED = {"f16": 2e-5, "int8": 0.03}  # of the largest output; int8 rounds queries and probabilities
EXPANDED = 1e-3  # one f32 sum over all keys, where the absorbed form has one of 1,024


def random_cache(rng, kind, latent, rope):
    """A full cache of one layer, and the block table of its only sequence, whose pages lie in any order."""
    layer_bytes = cache_layer_bytes(kind, latent, rope)
    pages = CONTEXT // PAGE_TOKENS
    if kind == "int8":
        data = rng.integers(0, 256, (pages, layer_bytes), np.uint8)
        data[data == 128] = 0  # stored values are -127..127
        num_scales = PAGE_TOKENS * sum(cache_widths(kind, latent, rope)) // CACHE_GROUP
        scales = 0.01 + 0.02 * rng.random((pages, num_scales), np.float32)
        data[:, -4 * num_scales :] = scales.view(np.uint8)
    else:
        values = rng.standard_normal((pages, PAGE_TOKENS, latent + rope), np.float32).astype(np.float16)
        data = values.view(np.uint8)
    table = rng.permutation(pages).astype(np.int32)[None]
    return Cache(kind, data.reshape(-1), layer_bytes, layer_bytes, latent, rope), table


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_attention_over_the_whole_context_equals_the_float64_reference(kind):
    rng, latent, nope, rope, values, heads = np.random.default_rng(3), 32, 16, 16, 16, 2
    cache, table = random_cache(rng, kind, latent, rope)
    lens = np.array([CONTEXT], np.int32)
    q = rng.standard_normal((1, heads, latent + rope), np.float32)
    out, expected = np.empty((2, 1, heads, latent), np.float32)
    reference.attend_absorbed(q, cache, 0, table, lens, 0.3, expected)
    attend_absorbed(q, cache, 0, table, lens, 0.3, out)
    assert_close(out, expected, ABSORBED[kind])

    queries = 5  # of a prompt's last chunk
    q = rng.standard_normal((queries, heads, nope + rope), np.float32)
    angles = rng.random((queries, rope // 2), np.float32)
    k_b, v_b = (cases.head_matrix(rng, "bf16", heads, width, latent) for width in (nope, values))
    starts, cos_sin = np.array([0, queries], np.int32), (np.cos(angles), np.sin(angles))
    out, expected = (make_activation(queries, heads * values, False) for _ in range(2))
    for kernel, result in ((reference.attend_expanded, expected), (attend_expanded, out)):
        kernel(k_b, v_b, q, *cos_sin, starts, lens, cache, 0, table, 0.3, result)
    assert_close(out.x, expected.x, EXPANDED)


def assert_close(found, expected, tolerance):
    assert np.abs(expected).max() > 0.01
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.skipif("KIMI_CPU_TEST_LONG" not in os.environ, reason="takes minutes; set KIMI_CPU_TEST_LONG")
def test_model_fills_its_whole_context_in_bounded_memory_and_equals_the_float64_reference(tmp_path):
    import psutil

    directory = tiny.make(tmp_path / "checkpoint", **SMALL)
    kimi_cpu.convert(directory, tmp_path / "model.gguf", dense="bf16")
    ids = np.random.default_rng(0).integers(3, 150, CONTEXT - 32).tolist()
    process, found, peak = psutil.Process(), [], 0
    with kimi_cpu.load(tmp_path / "model.gguf", compute="f32", kv="f32", speculate=False) as llm:
        before = process.memory_info().rss
        for length in (4097, 65_536, 131_073, 200_000, len(ids)):  # each goes on from the one before
            options = {"max_tokens": 1 if length < len(ids) else None, "logprobs": 20, "temperature": 0}
            for piece in llm.stream(ids[:length], ignore_eos=True, **options):
                found += [(length - 1, logprob) for logprob in piece.logprobs]
                peak = max(peak, process.memory_info().rss - before)
        cache_bytes = CONTEXT // 64 * llm._thread.call(lambda engine: engine.model.pages.page_bytes)
    assert (piece.finish_reason, piece.usage.total_tokens) == ("length", CONTEXT)
    print(f"cache of {cache_bytes / 1e6:.0f} MB; resident memory grew by {peak / 1e6:.0f} MB at most")
    assert peak < cache_bytes + 200e6
    (start, answer) = len(ids) - 1, [logprob.token_id for _, logprob in found[-32:]]
    found[-32:] = [(start + i, logprob) for i, (_, logprob) in enumerate(found[-32:])]
    expected = reference_logits(directory, [*ids, *answer], [position for position, _ in found])
    for (position, logprob), row in zip(found, expected, strict=True):
        row = row - row.max() - np.log(np.exp(row - row.max()).sum())
        top = [row[i] for i, _ in logprob.top]
        np.testing.assert_allclose([v for _, v in logprob.top], top, atol=1e-3 * np.ptp(row), err_msg=f"at {position}")


def reference_logits(directory, ids, positions):
    """Logits f64[len(positions), vocab] of a model of one dense layer, from its checkpoint, in float64 numpy."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from .oracle import _tensors

    w = {name: tensor.double().numpy() for name, tensor in _tensors(directory).items()}
    p = "model.layers.0."
    a = p + "self_attn."
    x = w["model.embed_tokens.weight"][ids]
    h = rms_norm(x, w[p + "input_layernorm.weight"], 1e-5)
    ckv = h @ w[a + "kv_a_proj_with_mqa.weight"].T
    latent = rms_norm(ckv[:, :LATENT], w[a + "kv_a_layernorm.weight"], 1e-6)
    angles = rotations(directory, len(ids))
    k_rope = rotate(ckv[:, LATENT:], angles)
    kv = (latent @ w[a + "kv_b_proj.weight"].T).reshape(len(ids), HEADS, NOPE + VALUES)
    q_a = rms_norm(h[positions] @ w[a + "q_a_proj.weight"].T, w[a + "q_a_layernorm.weight"], 1e-6)
    q = (q_a @ w[a + "q_b_proj.weight"].T).reshape(len(positions), HEADS, NOPE + ROPE)
    mscale = 0.1 * np.log(64) + 1  # YaRN's, of mscale_all_dim 1
    scale = (NOPE + ROPE) ** -0.5 * mscale**2
    out = np.empty((len(positions), HEADS, VALUES))
    for row, position in enumerate(positions):
        seen = slice(position + 1)
        q_rope = rotate(q[row, :, NOPE:], angles[[position]])
        scores = scale * (np.einsum("hi,nhi->hn", q[row, :, :NOPE], kv[seen, :, :NOPE]) + q_rope @ k_rope[seen].T)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        out[row] = np.einsum("hn,nhv->hv", weights / weights.sum(-1, keepdims=True), kv[seen, :, NOPE:])
    x = x[positions] + out.reshape(len(positions), -1) @ w[a + "o_proj.weight"].T
    h = rms_norm(x, w[p + "post_attention_layernorm.weight"], 1e-5)
    gate, up = (h @ w[f"{p}mlp.{part}_proj.weight"].T for part in ("gate", "up"))
    x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.down_proj.weight"].T
    return rms_norm(x, w["model.norm.weight"], 1e-5) @ w["lm_head.weight"].T


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotations(directory, length):
    """cos + i sin of all positions, as transformers computes YaRN's."""
    import torch
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3RotaryEmbedding

    from .oracle import load

    rotary = DeepseekV3RotaryEmbedding(load(directory).config)
    cos, sin = rotary(torch.zeros(1, dtype=torch.float32), torch.arange(length)[None])
    half = ROPE // 2
    return cos[0, :, :half].double().numpy() + 1j * sin[0, :, :half].double().numpy()


def rotate(x, angles):
    """Pairs of neighbours as complex numbers, turned."""
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * angles
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)
