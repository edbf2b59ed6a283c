"""The forward pass from token ids to logits (modeling_deepseek_v3.py: DeepseekV3ForCausalLM)."""

from concurrent.futures import Future
from typing import NamedTuple, Protocol

import numpy as np

from .. import kernels
from ..config import ModelConfig
from ..kernels import Program, Recorder, StepArg
from .kv_cache import KVCache
from .layer import record_layer
from .moe import Residency
from .weights import HeadWeights, Weights
from .workspace import ForwardBatch, StepArgs, Workspace

HEAD_ROWS = 64  # whose logits have a place of their own: 42 MB of K2's vocabulary, real when they are used


class Watch(Protocol):
    """Follows a forward pass and may end it."""

    stop: np.ndarray  # i64[1]; any thread ends the pass by another value than 0, also within a layer

    def __call__(self, done: int, total: int) -> bool:
        """Before each layer: so many are done. True: the pass is to end."""
        ...


class Kimi:
    """A model, or some of its layers, bound to its weights, its cache and one workspace; used by one thread at a time.

    Several objects are one model when their layers follow one another and each gives the next one its hidden values.
    """

    depth = 1  # batches that may be submitted before the first of them is done

    def __init__(
        self,
        config: ModelConfig,
        weights: Weights,
        cache: KVCache,
        max_tokens: int,
        int8: bool,
        layers: range | None = None,
        residency: Residency | None = None,
    ):
        """max_tokens: tokens of a batch at most. int8: whether activations are rounded to 8 bits.

        layers: by default all; with the first the model embeds, with the last it has a head. The cache has these alone,
        and `weights` at least them. residency: None when all experts are where `weights` says.
        """
        self.config, self.weights, self.pages = config, weights, cache
        self.max_tokens, self.vocab_size = max_tokens, config.vocab_size
        self.layers = config.layers if layers is None else layers
        self._residency, self._int8, self._programs, self._workspace = residency, int8, None, None
        self._allocated()

    def submit(self, batch: ForwardBatch, watch: Watch) -> Future[np.ndarray | None]:
        """The result or exception of `forward`, computed at once on the calling thread: a finished future."""
        future: Future[np.ndarray | None] = Future()
        try:
            future.set_result(self.forward(batch, watch))
        except BaseException as e:
            future.set_exception(e)
        return future

    def forward(self, batch: ForwardBatch, watch: Watch, hidden: np.ndarray | None = None) -> np.ndarray | None:
        """Logits f32[N, vocab] of the rows batch.logits_indices; the latents of all T tokens are in the cache after.

        Without the first layer hidden f32[T, H] takes the place of the ids; without the last it is what is returned.
        None when `watch` ended the pass; the cache then holds anything in the tokens' slots.
        """
        ws, num_tokens = self._allocated(), len(batch.token_ids)
        programs = self._recorded(ws)
        with kernels.stoppable(watch.stop):
            programs.step.set(batch, watch.stop)
            if programs.embed is not None:
                programs.embed.run()  # [T, H]
            else:
                ws.hidden[:num_tokens] = hidden
            for done, layer in enumerate(programs.layers):
                if watch(done, len(programs.layers)):
                    return None
                layer.run()  # [T, H]
            result = ws.hidden[:num_tokens].copy() if programs.head is None else programs.head(batch.logits_indices)
        return None if watch.stop[0] else result

    def release(self) -> None:
        """Gives the memory of the activations and of the cache back; the next pass takes it again."""
        self.pages.release()
        self._workspace = self._programs = None

    def _allocated(self) -> Workspace:
        if self._workspace is None:
            self._workspace = Workspace(self.config, self.max_tokens, self._int8)
        return self._workspace

    def _recorded(self, ws: Workspace) -> "Programs":
        """All programs, recorded unless they are there and this thread's kernels still run with the same context."""
        context = kernels.context()
        if self._programs is not None and self._programs.context is context:
            return self._programs
        config, w, cache = self.config, self.weights, self.pages.view
        step = StepArgs(config, self.max_tokens, cache)
        embed = head = None
        if config.has_embedding(self.layers):
            assert w.embed_tokens is not None, "no embedding is bound"
            k = Recorder()
            k.embed(w.embed_tokens, step.token_ids, ws.hidden, rows=step.rows)  # [T, H]
            embed = k.compile()
        layers = [
            record_layer(w.layers[n], n, config, ws, step, cache, place, self._residency)
            for place, n in enumerate(self.layers)
        ]
        if config.has_head(self.layers):
            assert w.head is not None, "no head is bound"
            head = Head(w.head, config, ws)
        self._programs = Programs(context, step, embed, layers, head)
        return self._programs


class Programs(NamedTuple):
    """A model's programs, for one context of the kernels, and the arguments that they share."""

    context: np.ndarray
    step: StepArgs
    embed: Program | None
    layers: list[Program]
    head: "Head | None"


class Head:
    """lm_head(norm(hidden)) of some rows."""

    def __init__(self, w: HeadWeights, config: ModelConfig, ws: Workspace):
        self._workspace, self._lm_head = ws, (w.lm_head,)
        self._rows, self._few_rows = StepArg(), StepArg()
        few = min(HEAD_ROWS, len(ws.hidden))
        self._logits = np.empty((few, config.vocab_size), np.float32)
        k = Recorder()
        k.rms_norm(ws.hidden, w.norm, config.rms_norm_eps, ws.normed, rows=self._rows)  # [N, H]
        k.linear(self._lm_head, ws.normed.rows(few), (self._logits,), rows=self._few_rows)  # [N, vocab]
        self._program = k.compile()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Logits f32[N, vocab] of N rows of the workspace's hidden, whose first N rows they become."""
        ws, n = self._workspace, len(rows)
        has_room = n <= len(self._logits)
        ws.hidden[:n] = ws.hidden[rows]
        self._rows.set(n)
        self._few_rows.set(n if has_room else 0)
        self._program.run()
        if has_room:
            return self._logits[:n].copy()
        logits = np.empty((n, self._logits.shape[1]), np.float32)
        kernels.linear(self._lm_head, ws.normed.rows(n), (logits,))
        return logits
