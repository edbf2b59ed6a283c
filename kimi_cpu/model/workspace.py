"""One step of the model: the tokens that come in, the arguments of kernels that change, and the activations."""

from typing import NamedTuple

import numpy as np

from ..config import ModelConfig
from ..kernels import Activation, Cache, StepArg, make_activation, make_dispatch, num_splits, plan_absorbed
from .rope import Rotation


class ForwardBatch(NamedTuple):
    """T tokens of S sequences. Decode sequences come first and have one token each.

    The form of attention belongs to the token: generated tokens and the last of a prompt (decode sequences) use the
    absorbed form, a prompt's others the expanded one, whatever the length of the chunk; so a chunk's size cannot
    change a result.
    """

    token_ids: np.ndarray  # i32[T]
    positions: np.ndarray  # i32[T]
    slot_mapping: np.ndarray  # i64[T], page * PAGE_TOKENS + offset
    block_tables: np.ndarray  # i32[S, B], pages of each sequence in order
    query_start_loc: np.ndarray  # i32[S + 1], first row of each sequence
    seq_lens: np.ndarray  # i32[S], tokens of each sequence, those of this step included
    logits_indices: np.ndarray  # i64[N], the rows whose logits are wanted
    num_decode_seqs: int


class StepArgs:
    """Arguments of kernels that change from step to step, the same for all layers. Of arrays the first rows count."""

    def __init__(self, config: ModelConfig, max_tokens: int, cache: Cache):
        c = config
        self.rows = StepArg()  # T tokens
        self.decode_rows = StepArg()  # D of them, the first: of decode sequences
        self.prompt_rows = StepArg()  # P of them, the others: of prompts
        self.token_ids = np.zeros(max_tokens, np.int32)
        self.cos, self.sin = np.zeros((2, max_tokens, c.qk_rope_head_dim // 2), np.float32)
        self.slots = np.zeros(max_tokens, np.int64)
        self.decode_tables = StepArg(np.zeros((1, 1), np.int32))  # pages of decode sequences [D, B]
        self.decode_lens = np.zeros(max_tokens, np.int32)
        self.decode_plan = tuple(map(StepArg, plan_absorbed(cache, c.num_attention_heads, 1, 1)))
        self.prompt_tables = StepArg(np.zeros((1, 1), np.int32))  # pages of prompts [S - D, B]
        self.prompt_lens = np.zeros(max_tokens, np.int32)
        self.prompt_starts = np.zeros(max_tokens + 1, np.int32)  # the first row of each, and the end
        self.stop = np.zeros(1, np.int64)  # i64[1], not 0: the rest of the step is not wanted any more
        self._rotation = Rotation(c.qk_rope_head_dim, c.rope_theta, c.rope_scaling)
        self._cache, self._heads, self._planned = cache, c.num_attention_heads, (1, 1)

    def set(self, batch: ForwardBatch, stop: np.ndarray) -> None:
        """Takes the arguments of the next step from its batch; stop: its watch's flag."""
        num_tokens, n = len(batch.token_ids), batch.num_decode_seqs
        self.stop = stop
        self.rows.set(num_tokens)
        self.decode_rows.set(n)
        self.prompt_rows.set(num_tokens - n)
        self.token_ids[:num_tokens] = batch.token_ids
        self.cos[:num_tokens], self.sin[:num_tokens] = self._rotation.cos_sin(batch.positions)
        self.slots[:num_tokens] = batch.slot_mapping
        if n:
            lens = batch.seq_lens[:n]
            self.decode_tables.set(batch.block_tables[:n])
            self.decode_lens[:n] = lens
            self._set_plan(n, num_splits(lens))
        if num_tokens > n:
            num_prompts = len(batch.seq_lens) - n
            self.prompt_tables.set(batch.block_tables[n:])
            self.prompt_lens[:num_prompts] = batch.seq_lens[n:]
            self.prompt_starts[: num_prompts + 1] = batch.query_start_loc[n:]

    def _set_plan(self, sequences: int, splits: int) -> None:
        if self._planned != (sequences, splits):
            self._planned = sequences, splits
            plan = plan_absorbed(self._cache, self._heads, sequences, splits)
            for argument, value in zip(self.decode_plan, plan, strict=True):
                argument.set(value)


class Workspace:
    """The activations of a step, allocated once, for at most max_tokens rows: a forward pass allocates nothing.

    int8: whether inputs of matrices are quantised as well. attention.py and moe.py explain the letters of the shapes.
    """

    def __init__(self, config: ModelConfig, max_tokens: int, int8: bool):
        c = config
        heads, latent = c.num_attention_heads, c.kv_lora_rank + c.qk_rope_head_dim
        self.hidden = np.zeros((max_tokens, c.hidden_size), np.float32)  # [T, H], the residual stream
        self.normed = make_activation(max_tokens, c.hidden_size, int8)  # [T, H]
        self.ckv = np.zeros((max_tokens, latent), np.float32)  # [T, L + R]
        self.q_a = np.zeros((max_tokens, c.q_lora_rank or 0), np.float32)  # [T, Q]
        self.q_latent = make_activation(max_tokens, c.q_lora_rank or 0, int8)  # [T, Q]
        self.q = np.zeros((max_tokens, heads * c.qk_head_dim), np.float32)  # [T, A * (N + R)]
        self.heads_q = self.q.reshape(max_tokens, heads, c.qk_head_dim)  # [T, A, N + R]
        self.q_absorbed = np.zeros((max_tokens, heads, latent), np.float32)  # [D, A, L + R]
        self.latent_out = np.zeros((max_tokens, heads, c.kv_lora_rank), np.float32)  # [D, A, L]
        self.heads_out = make_activation(max_tokens, heads * c.v_head_dim, int8)  # [T, A * V]
        self.mlp: dict[int, Activation] = {w: make_activation(max_tokens, w, int8) for w in _mlp_widths(c)}  # [T, I]
        self.dispatch = make_dispatch(max_tokens, c.n_routed_experts, c.num_experts_per_tok)  # [T, k]
        self.routed = make_activation(max_tokens * c.num_experts_per_tok, c.moe_intermediate_size, int8)  # [T * k, I]

    @property
    def nbytes(self) -> int:
        """Bytes of all activations."""
        single = self.hidden, self.ckv, self.q_a, self.q, self.q_absorbed, self.latent_out
        several = self.normed, self.q_latent, self.heads_out, *self.mlp.values(), self.dispatch, self.routed
        arrays = (*single, *(part for parts in several for part in parts))
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


def _mlp_widths(c: ModelConfig) -> set[int]:
    """Widths of the dense MLPs and of the shared experts, those that occur."""
    moe = [c.is_moe_layer(n) for n in range(c.num_hidden_layers)]
    widths = set() if all(moe) else {c.intermediate_size}
    if any(moe) and c.n_shared_experts:
        widths.add(c.n_shared_experts * c.moe_intermediate_size)
    return widths
