"""How much rounding costs, measured with torch: INT4 experts in the network, and the engine against transformers."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F

import kimi_cpu

from .curriculum import held_out
from .documents import batch_of, encode
from .export import load_network
from .scores import PROSE_DOCUMENTS, prose_ids

QAT_TASKS = ("prose", "story", "arithmetic", "lookup", "weather", "news")
NUM_TRANSFORMERS = 10  # texts compared with transformers


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
                batch = batch_of([encode(example, tokenizer)])
                total += network.loss(batch.ids, batch.targets, batch.documents).item()
                count += (batch.targets >= 0).sum().item()
            losses.append(total / count)
        out[task] = tuple(losses)
    return out


def against_transformers(llm: kimi_cpu.LLM, checkpoint: Path) -> dict[str, float]:
    """The engine against DeepseekV3ForCausalLM in float32 on the checkpoint, on held-out prose."""
    from tests.model import oracle

    model = oracle.load(checkpoint)
    losses, losses_oracle, kl = [], [], []
    for ids in prose_ids(llm, NUM_TRANSFORMERS):
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
