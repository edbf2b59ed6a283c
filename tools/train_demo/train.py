"""The training loop: data made once and cached, checkpoints that training resumes from, scores in the log."""

import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from kimi_cpu.config import config_from_hf
from kimi_cpu.tokenizer import Tokenizer

from . import byte_pairs, documents, recipe, rendering
from .copying import begin_with_copying
from .curriculum import held_out, make
from .network import Network
from .parallel import Optimiser, mean
from .phrasing import apart

CHECKPOINT_EVERY, SCORE_EVERY, LOG_EVERY = 50, 500, 10
SCORED = """story prose arithmetic long_sum quotient sums compare name told lookup lookup_1000 again absent noted copy
    declined too_hard date weather parallel search named chain3 chain10 news agent_date calculator""".split()
NUM_SCORED = 10  # held-out examples a task in the log
# glibc returns large blocks at once and gets them back zeroed: a tenth of a step.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 28)}
FINISH = "finish"  # a file in the run's directory: so many more steps, the learning rate falling to zero


def prepare(run: Path) -> None:
    """Makes the tokenizer and the data of all phases, where they are not there yet."""
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "tokenizer" / "chat_template.jinja").exists():
        texts = ["".join(s for s, _ in rendering.spans(e)) for e in apart(make("short", 0, recipe.TOKENIZER_DOCUMENTS))]
        byte_pairs.write(byte_pairs.learn(texts, recipe.BASE_VOCAB), run / "tokenizer")
    tokenizer = Tokenizer.load(run / "tokenizer")
    for phase in recipe.PHASES:
        path = cache_path(run, phase)
        if not path.exists():
            examples = apart(make(phase.mix, phase.seed, phase.documents))
            documents.write(examples, tokenizer, path, phase.longest)


def cache_path(run: Path, phase: recipe.Phase) -> Path:
    return run / f"{phase.mix}-{phase.seed}-{phase.documents}-{phase.longest}.npz"


def train(run: Path, processes: int) -> None:
    """Trains to the end of the recipe, from the last checkpoint if there is one."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"} | KEEP_MEMORY
    mp.spawn(_process, (run, processes), processes)


def _process(rank: int, run: Path, processes: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    Trainer(run, rank, processes).run_to_the_end()
    dist.destroy_process_group()


class Trainer:
    """One process of a run."""

    def __init__(self, run: Path, rank: int, processes: int):
        self.run, self.rank, self.processes = run, rank, processes
        config, _ = config_from_hf(recipe.CONFIG)
        torch.manual_seed(0)
        self.network = Network(config)
        begin_with_copying(self.network)
        self.optimiser = Optimiser(self.network, rank, processes)
        self.tokenizer = Tokenizer.load(run / "tokenizer")
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.cycles = recipe.CYCLES
        self.caches: dict[recipe.Phase, documents.Cache] = {}
        self._resume()

    def run_to_the_end(self) -> None:
        losses = []
        while self.step < self.end:
            started = time.perf_counter()
            phase = self._phase()
            batch = self._cache(phase).next(phase.tokens // self.processes)
            with torch.autocast("cpu", torch.bfloat16):  # matrix products take a fifth of the time on AVX-512 BF16
                loss = self.network.loss(batch.ids, batch.targets, batch.groups)
            loss.backward()
            self._balance()
            rate = self._rate()
            self.optimiser.step(batch.counted, rate * phase.muon_lr, rate * phase.adam_lr)
            losses.append(loss.item() / batch.counted)
            self.step += 1
            self.tokens += int(mean(len(batch.ids)) * self.processes)
            self.seconds += time.perf_counter() - started
            if self.step % LOG_EVERY == 0:
                self._log(loss=round(mean(sum(losses) / len(losses)), 4), rate=round(self._rate(), 4))
                losses.clear()
                self._look_for_finish()
            if self.step % SCORE_EVERY == 0 or self.step == self.end:
                self._log(scores=self._scores())
            if self.step % CHECKPOINT_EVERY == 0 or self.step == self.end:
                self._save()

    def _phase(self) -> recipe.Phase:
        return next(p for p in recipe.PHASES if self.step < p.until_step or p is recipe.PHASES[-1])

    def _cache(self, phase: recipe.Phase) -> documents.Cache:
        """The data of a phase."""
        if phase not in self.caches:
            path = cache_path(self.run, phase)
            self.caches = {phase: documents.Cache(path, phase.seed, self.rank, self.processes)}
        return self.caches[phase]

    @property
    def end(self) -> int:
        """The last step."""
        return self.cycles[-1][0]

    def _rate(self) -> float:
        """The learning rate's share: a short rise, a level, a line to zero, once a cycle."""
        begin = 0
        for end, fall in self.cycles:
            if self.step < end:
                return min(1.0, (self.step - begin + 1) / recipe.WARMUP_STEPS, (end - self.step) / fall)
            begin = end
        return 0.0

    def _balance(self) -> None:
        """Moves the routers' biases by the load of all processes."""
        for moe in self.network.moe_layers():
            dist.all_reduce(moe.load)
            moe.balance(recipe.BALANCE_SPEED * self._rate())

    def _look_for_finish(self) -> None:
        """Shortens the run when somebody asks for it."""
        path = self.run / FINISH
        asked = float(path.read_text()) if self.rank == 0 and path.exists() else 0.0
        steps = int(mean(asked) * self.processes)
        if steps:
            self.cycles = (*self.cycles[:-1], (self.step + steps, steps))
            self._log(finish=self.end)
            if self.rank == 0:
                path.unlink()

    @torch.no_grad()
    def _scores(self) -> dict[str, float]:
        """Per task: the share of held-out examples whose every counted token is the likeliest, so that greedy decoding
        would write them; for prose, the mean loss."""
        self.network.eval()
        scores = {}
        for task in SCORED:
            examples = held_out(task, NUM_SCORED)[self.rank :: self.processes]
            right = [self._is_right(example) for example in examples]
            scores[task] = round(mean(sum(right) / len(right)), 3)
        self.network.train()
        return scores

    def _is_right(self, example) -> float:
        batch = documents.batch_of([example], self.tokenizer)
        counted = batch.targets >= 0
        with torch.autocast("cpu", torch.bfloat16):
            logits = (self.network(batch.ids, batch.groups)[counted] @ self.network.lm_head.T).float()
        if example.task in ("prose", "story"):
            return torch.nn.functional.cross_entropy(logits, batch.targets[counted]).item()
        return float((logits.argmax(-1) == batch.targets[counted]).all())

    def _log(self, **values) -> None:
        if self.rank == 0:
            line = {"step": self.step, "tokens": self.tokens, "seconds": round(self.seconds), **values}
            with (self.run / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        directory = self.run / f"checkpoint-{self.step}"
        directory.mkdir(exist_ok=True)
        positions = {phase.mix: cache.at for phase, cache in self.caches.items()}
        counters = {"step": self.step, "tokens": self.tokens, "seconds": self.seconds}
        if self.end != recipe.STEPS:  # somebody asked to finish
            counters["cycles"] = self.cycles
        buffers = {name: b for name, b in self.network.named_buffers() if name.endswith("bias")}
        torch.save(
            {**self.optimiser.state(), "counters": counters, "positions": positions, "buffers": buffers},
            directory / f"process{self.rank}.pt",
        )
        if self.rank == 0:
            torch.save(self.network.state_dict(), directory / "network.pt")
        dist.barrier()
        if self.rank == 0:
            (self.run / "latest.part").write_text(directory.name)
            (self.run / "latest.part").rename(self.run / "latest")

    def _resume(self) -> None:
        if not (self.run / "latest").exists():
            return
        directory = self.run / (self.run / "latest").read_text()
        state = torch.load(directory / f"process{self.rank}.pt", weights_only=True)
        self.optimiser.load(state)
        for name, value in state["buffers"].items():
            self.network.get_buffer(name).copy_(value)
        for name, value in state["counters"].items():
            setattr(self, name, value)
        phase = self._phase()
        self._cache(phase).at = state["positions"].get(phase.mix, 0)
        self._log(resumed=directory.name)
