"""This engine's rows, through its Python API: a Worker's script."""

import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from statistics import median
from threading import Thread

import numpy as np
import workers
from rows import BATCH_DEPTH, BATCH_STEPS, MAX_SEQUENCES, PIECE, PROMPT_STEP, Row, parse

import kimi_cpu
from kimi_cpu.kernels import runtime, tuner


def tune(threads: int) -> None:
    """Tunes the kernels now, so that they are not tuned while a peer is measured."""
    runtime.configure(threads)
    search = tuner.IdleTuner()
    while search():
        pass


class Kimi:
    """settings: path, threads, context, kv."""

    def __init__(self, settings: dict):
        self._settings = settings
        with ThreadPoolExecutor(1) as pool:  # a thread of its own, with which its OpenMP threads end
            pool.submit(tune, settings["threads"]).result()
        self.llm = self.load()
        self._before: dict[tuple[int, int], list[int]] = {}

    def load(self) -> kimi_cpu.LLM:
        """The model, with an empty cache."""
        return kimi_cpu.load(
            self._settings["path"],
            threads=self._settings["threads"],
            context=self._settings["context"],
            kv=self._settings["kv"],
            chunk=PROMPT_STEP,
            parallel=MAX_SEQUENCES,
            speculate=False,  # an untrained model repeats itself
            prompts_first=True,  # so that all sequences of a row generate at once
        )

    def about(self) -> dict:
        """Version, type of the cache, and whether the kernels are tuned to the machine."""
        threads = self._settings["threads"]
        tuned = f"tuned for {threads} threads" if runtime.tuning_file(threads).load().measured else "not tuned"
        return {"version": f"kimi-cpu {version('kimi-cpu')}", "flags": f"cache {self._settings['kv']}, {tuned}"}

    def piece(self, name: str, turn: int) -> dict:
        """Tokens a second of the turn's piece of a row, and bytes and multiply-adds that one of its tokens needs."""
        row = parse(name)
        if row.kind == "x":
            return self._together(row.count)
        depth, needs = self._ids_before(row.depth), self.llm.needs
        if row.kind == "pp":
            done = self._generate(depth + self.ids(row.count), 1)
            rate = (row.count + row.depth - done.usage.cached_tokens) / done.timings.prefill_s
            weights = (needs.dense + needs.experts) * -(-row.count // PROMPT_STEP)
            return {"rate": rate, "bytes": weights / row.count, "macs": macs(self.llm.config, row)}
        earlier, count = self.ids(row.begin(turn) - row.depth), min(PIECE, row.count)
        done = self._generate(depth + earlier + self.ids(1), count + 1)  # the first one ends the prompt's step
        num_bytes = needs.token + row.begin(turn) * needs.cache_token
        return {"rate": count / done.timings.decode_s, "bytes": num_bytes, "macs": macs(self.llm.config, row)}

    def ids(self, count: int) -> list[int]:
        """Random tokens."""
        return np.random.default_rng().integers(0, self.llm.config.vocab_size, count).tolist()

    def _ids_before(self, depth: int, sequence: int = 0) -> list[int]:
        """The same tokens for a sequence every time, which are found in the cache after the first time."""
        key = depth, sequence
        if key not in self._before:
            self._before[key] = self.ids(depth)
            if depth:
                self._generate(self._before[key], 1)
        return self._before[key]

    def _generate(self, ids: list[int], count: int) -> kimi_cpu.Completion:
        return self.llm.generate(ids, max_tokens=count, temperature=0.0, ignore_eos=True)

    def _together(self, sequences: int) -> dict:
        """Tokens a second while all sequences generate: between the last one's first token and the first one's last."""
        times: list[list[float]] = [[] for _ in range(sequences)]
        num_active: list[tuple[float, int]] = []  # when, and how many experts of a layer

        def follow(sequence: int) -> None:
            ids = self._ids_before(BATCH_DEPTH, sequence) + self.ids(1)
            for piece in self.llm.stream(ids, max_tokens=2 * BATCH_STEPS, temperature=0.0, ignore_eos=True):
                times[sequence].extend(time.perf_counter() for _ in piece.token_ids)
                if sequence == 0:
                    num_active.append((time.perf_counter(), self._num_active()))

        threads = [Thread(target=follow, args=(sequence,)) for sequence in range(sequences)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begin, end = max(own[0] for own in times), min(own[-1] for own in times)
        rate = sum(begin < at <= end for own in times for at in own) / (end - begin)
        needs, c = self.llm.needs, self.llm.config
        experts = median(n for at, n in num_active if begin < at <= end) * (needs.num_experts // c.n_routed_experts)
        weights = needs.token - needs.token_experts + experts * needs.expert
        num_bytes = weights / sequences + BATCH_DEPTH * needs.cache_token
        return {"rate": rate, "bytes": num_bytes, "macs": macs(c, Row("tg", 1, BATCH_DEPTH, False))}

    def _num_active(self) -> int:
        """Experts that the last step's last layer used; only a measurement asks, so there is no public way."""
        return int(self.llm._thread._engine.model._workspace.dispatch.num_active[0])


def macs(config: kimi_cpu.ModelConfig, row: Row) -> float:
    """Multiply-adds a token: matrices that a token uses, and attention over what stands before it, which prompts do in
    the expanded form and generated tokens in the absorbed one."""
    c = config
    heads, nope, rope, value = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim
    attention = c.hidden_size * (c.q_lora_rank + c.kv_lora_rank + rope) + c.q_lora_rank * heads * (nope + rope)
    attention += heads * value * c.hidden_size + c.kv_lora_rank * heads * (nope + value)
    of_pair = heads * (nope + rope + value if row.kind == "pp" else 2 * c.kv_lora_rank + rope)
    pairs = row.depth + (row.count + 1) / 2
    total = 0.0
    for layer in range(c.num_hidden_layers):
        total += attention + pairs * of_pair
        if c.is_moe_layer(layer):
            experts = c.num_experts_per_tok + c.n_shared_experts
            total += 3 * experts * c.moe_intermediate_size * c.hidden_size + c.n_routed_experts * c.hidden_size
        else:
            total += 3 * c.intermediate_size * c.hidden_size
    return total


if __name__ == "__main__":
    workers.serve(Kimi)
