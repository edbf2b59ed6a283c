"""python -m tools.train_demo.evaluate FILE [--run RUN --checkpoint DIR] -o SCORES.json: all figures of the model card.

FILE: the model file. RUN: the training run's directory, for INT4 against unquantised experts. DIR: the exported
checkpoint, for transformers' logits.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

import kimi_cpu

from .curriculum import held_out
from .documents import batch_of
from .export import load_network
from .scores import COUNTS, PROSE_DOCUMENTS, agreement, prose_ids, score

QAT_TASKS = ("prose", "story", "arithmetic", "lookup", "weather", "news")
NUM_TRANSFORMERS = 10  # texts compared with transformers


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a demonstration model on held-out questions.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--run", type=Path, help="the training run")
    parser.add_argument("--checkpoint", type=Path, help="the exported checkpoint")
    parser.add_argument("--share", type=float, default=1.0, help="of the questions [default: all]")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    figures: dict = {}
    with kimi_cpu.load(options.file) as llm:
        figures["scores"] = {}
        for task, count in COUNTS.items():
            figures["scores"][task] = score(llm, task, max(4, int(count * options.share)))
            print(task, *figures["scores"][task], flush=True)
        texts = prose_ids(llm)
        with kimi_cpu.load(options.file, compute="f32", kv="f32") as f32:
            figures["int8"] = vars(agreement(llm, f32, texts))
        if options.checkpoint:
            figures["transformers"] = against_transformers(llm, options.checkpoint, texts[:NUM_TRANSFORMERS])
    if options.run:
        latest = options.run / (options.run / "latest").read_text()
        figures["int4"] = int4_losses(latest / "network.pt", options.run / "tokenizer")
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(options.out.read_text())


@torch.no_grad()
def int4_losses(network_path: Path, tokenizer_directory: Path) -> dict[str, tuple[float, float]]:
    """Task -> mean loss of what the assistant writes, with INT4 experts and with the unquantised ones under them."""
    network = load_network(network_path)
    tokenizer = kimi_cpu.Tokenizer.load(tokenizer_directory)
    out = {}
    for task in QAT_TASKS:
        losses = []
        for quantised in (True, False):
            for moe in network.moe_layers():
                moe.quantised = quantised
            total = count = 0.0
            for example in held_out(task, PROSE_DOCUMENTS):
                batch = batch_of([example], tokenizer)
                total += network.loss(batch.ids, batch.targets, batch.groups).item()
                count += batch.counted
            losses.append(total / count)
        out[task] = tuple(losses)
    return out


def against_transformers(llm: kimi_cpu.LLM, checkpoint: Path, texts: list[list[int]]) -> dict[str, float]:
    """The engine against DeepseekV3ForCausalLM in float32 on the checkpoint: perplexities, mean KL."""
    from tests.model import oracle

    model = oracle.load(checkpoint)
    losses, losses_oracle, kl = [], [], []
    for ids in texts:
        p = F.log_softmax(torch.from_numpy(oracle.logits(model, ids)).double(), -1)
        q = F.log_softmax(torch.from_numpy(llm.logits(ids)).double(), -1)
        losses_oracle.append(F.nll_loss(p[:-1], torch.tensor(ids[1:])))
        losses.append(F.nll_loss(q[:-1], torch.tensor(ids[1:])))
        kl.append((p.exp() * (p - q)).sum(-1).mean())
    perplexities = [math.exp(torch.stack(x).mean()) for x in (losses, losses_oracle)]
    return {
        "perplexity": perplexities[0],
        "perplexity_oracle": perplexities[1],
        "mean_kl": torch.stack(kl).mean().item(),
    }


if __name__ == "__main__":
    main()
