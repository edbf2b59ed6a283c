"""The training loop: data made beside it, checkpoints that training resumes from, scores in the log.

On a GPU a step (forward, backward, both optimisers) is one CUDA graph. On a CPU the same is computed, slowly.
"""

import json
import shutil
import time
from pathlib import Path

import torch

from kimi_cpu.config import config_from_hf
from kimi_cpu.tokenizer import Tokenizer

from . import byte_pairs, recipe, rendering
from .copying import begin_with_copying
from .curriculum import held_out, make
from .documents import Batch, Encoded, batch_of, encode
from .network import Network
from .optimiser import Optimiser
from .phrasing import apart
from .stream import Stream

LOG_EVERY = 100
BEFORE_GRAPH = 3  # steps that allocate what the graph keeps
SCORED = """story prose arithmetic long_sum quotient sums compare name told lookup lookup_1000 again absent noted
    everyday papers copy declined too_hard date weather parallel search named chain3 chain10 news agent_date
    calculator""".split()
NUM_SCORED = 10  # held-out examples a task in the log


def prepare(run: Path) -> None:
    """Makes the tokenizer, where it is not there yet."""
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "tokenizer" / "chat_template.jinja").exists():
        texts = ["".join(s for s, _ in rendering.spans(e)) for e in apart(make("tasks", 0, recipe.TOKENIZER_DOCUMENTS))]
        byte_pairs.write(byte_pairs.learn(texts, recipe.BASE_VOCAB), run / "tokenizer")


class Trainer:
    """A run, from its last checkpoint if there is one. Made before anything else uses the GPU: it starts processes."""

    def __init__(self, run: Path, device: str):
        self.run, self.device = run, device
        self.tokenizer = Tokenizer.load(run / "tokenizer")
        state = self._latest()
        self.step, self.started = state.get("step", 0), time.perf_counter() - state.get("seconds", 0.0)
        begins = [0, *(p.until_step for p in recipe.PHASES)]
        left = [(p, max(0, self.step - begin)) for p, begin in zip(recipe.PHASES, begins, strict=False)]
        self.streams = {p: Stream(p, self.tokenizer, at) for p, at in left if self.step < p.until_step}
        self.held_out = {task: [encode(e, self.tokenizer) for e in held_out(task, NUM_SCORED)] for task in SCORED}
        torch.manual_seed(0)
        self.network = Network(config_from_hf(recipe.CONFIG)[0])
        begin_with_copying(self.network)
        self.network.to(device)
        self.optimiser = Optimiser(self.network)
        self.balance = torch.zeros((), device=device)
        self.loss = torch.zeros((), device=device)  # summed up since the last line of the log
        self.batch: Batch | None = None
        self.graph, self.before_graph = None, BEFORE_GRAPH
        self.computed_loss = torch.compile(self.network.loss, dynamic=False) if device == "cuda" else self.network.loss
        if state:
            self.network.load_state_dict(state["network"])
            self.optimiser.load(state["optimiser"])
        self._log(device=torch.cuda.get_device_name() if device == "cuda" else "a CPU")

    def run_to(self, end: int) -> None:
        """Trains up to a step."""
        while self.step < end:
            phase = next(p for p in recipe.PHASES if self.step < p.until_step)
            batch = next(self.streams[phase])
            share = recipe.share(self.step)
            self.optimiser.muon_lr.fill_(share * phase.muon_lr)
            self.optimiser.adam_lr.fill_(share * phase.adam_lr)
            self.balance.fill_(share * recipe.BALANCE_SPEED)
            self._take(batch)
            self.step += 1
            if self.step == phase.until_step:
                self.streams.pop(phase).close()
            if self.step % LOG_EVERY == 0:  # here the host waits for the GPU
                self._log(loss=round(self.loss.item() / LOG_EVERY, 4), rate=round(share, 4))
                self.loss.zero_()
            if self.step % (recipe.STREAMS * recipe.PART) == 0 or self.step == end:
                self._log(scores=self._scores())
                self._save()

    def _take(self, batch: Batch) -> None:
        """A step with a batch."""
        if self.batch is None:
            self.batch = batch.to(self.device)
        self.batch.copy_(batch)
        if self.device == "cpu":
            self._compute()
        elif self.before_graph:
            self.before_graph -= 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._compute()
            torch.cuda.current_stream().wait_stream(side)
        else:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    self._compute()
            self.graph.replay()

    def _compute(self) -> None:
        batch = self.batch
        with torch.autocast(self.device, torch.bfloat16, cache_enabled=False):
            loss = self.computed_loss(batch.ids, batch.targets, batch.documents)
        loss.backward()
        counted = (batch.targets >= 0).sum()
        self.loss += loss.detach() / counted
        self.optimiser.step(counted)
        for moe in self.network.moe_layers():
            moe.balance(self.balance)

    @torch.no_grad()
    def _scores(self) -> dict[str, float]:
        """Per task: the share of held-out examples whose every counted token is the likeliest, so that greedy decoding
        would write them; for prose and stories, the mean loss."""
        self.network.eval()
        scores = {task: round(self._score(task, documents), 3) for task, documents in self.held_out.items()}
        self.network.train()
        return scores

    def _score(self, task: str, documents: list[Encoded]) -> float:
        batch = batch_of(documents).to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            logits = (self.network(batch.ids, batch.documents) @ self.network.lm_head.T).float()
        if task in ("prose", "story"):
            return torch.nn.functional.cross_entropy(logits, batch.targets, ignore_index=-1).item()
        right = (logits.argmax(-1) == batch.targets) | (batch.targets < 0)
        return sum(part.all().item() for part in right.split([len(ids) for ids, _ in documents])) / len(documents)

    @property
    def seconds(self) -> float:
        """Of this run and those that it goes on from."""
        return time.perf_counter() - self.started

    def _log(self, **values) -> None:
        line = {"step": self.step, "tokens": self.step * recipe.TOKENS, "seconds": round(self.seconds), **values}
        with (self.run / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _latest(self) -> dict:
        """What the last checkpoint holds."""
        if not (self.run / "latest").exists():
            return {}
        directory = self.run / (self.run / "latest").read_text()
        state, network = (
            torch.load(directory / name, weights_only=True, map_location="cpu") for name in ("state.pt", "network.pt")
        )
        return state | {"network": network}

    def _save(self) -> None:
        directory = self.run / f"checkpoint-{self.step}"
        directory.mkdir(exist_ok=True)
        state = {"step": self.step, "seconds": self.seconds, "optimiser": self.optimiser.state()}
        torch.save(state, directory / "state.pt")
        torch.save(self.network.state_dict(), directory / "network.pt")
        (self.run / "latest.part").write_text(directory.name)
        (self.run / "latest.part").rename(self.run / "latest")
        for old in set(self.run.glob("checkpoint-*")) - {directory}:
            shutil.rmtree(old)
