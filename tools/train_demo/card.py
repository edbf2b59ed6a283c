"""python -m tools.train_demo.card FILE RUN SCORES.json -o CARD.md: the model card. Its figures are programs' output."""

import argparse
import hashlib
import json
from pathlib import Path

from kimi_cpu.modelfile import ModelFile

from . import examination, recipe
from .scores import COUNTS

MEANING = {
    "arithmetic": "sums, differences and products of numbers of up to two digits; products with one digit",
    "long_sum": "sums and differences with a number of three digits",
    "quotient": "a division without a rest (only 6 are held out)",
    "sums": "a sum, and one to three that go on from its result",
    "compare": "which of two numbers is larger",
    "name": "a name that was told, asked for",
    "told": "something else that was told, asked for; or that was not told",
    "lookup": "a question over facts in the prompt, about 60-250 tokens",
    "lookup_1000": "the same, about 1,000 tokens",
    "lookup_4000": "the same, about 3,700 tokens",
    "again": "a second or third question over one text",
    "absent": "a question that the text does not answer",
    "noted": "a question over notes: records, lists, halves of sentences",
    "everyday": "a question over what people say and tell",
    "papers": "a question over messages, tables, lists, instructions",
    "copy": "a text said again",
    "declined": "what it cannot do or know",
    "too_hard": "longer numbers, divisions with a rest, fractions, roots",
    "date": "get_date, then an answer from its result",
    "weather": "one call for one city, then an answer from its result",
    "parallel": "two to four calls in one turn",
    "search": "one call of web_search, then an answer from its result",
    "named": "a tool of a name and arguments that were never seen",
    "chain3": "3 calls, each with what the one before returned",
    "chain10": "10 calls",
    "news": "get_date, 2 to 4 times web_search, and a report that cites every result",
    "agent_date": "date and time, with the tools that the agent brings",
    "calculator": "an expression for the agent's calculator",
}
TEXT = """# The bundled demonstration model

A mixture-of-experts model of exactly Kimi K2's architecture and file format, trained from nothing by
`tools/train_demo`. It shows that the machine works: thinking, answering, calling tools. It does small sums, finds
things in a text, remembers what it was told, tells short stories and calls tools; the rest it declines. For real
answers run Kimi K2 Thinking.

| | |
|---|---|
| file | `kimi_cpu/data/demo.gguf`, {size:,} bytes |
| SHA-256 | `{sha256}` |
| parameters | {weights:,}, of which {active:,} compute a token |
| layers | {num_hidden_layers} ({first_k_dense_replace} dense), hidden {hidden_size}, {num_attention_heads} heads |
| experts | {n_routed_experts} of {moe_intermediate_size}; {num_experts_per_tok} a token, {n_shared_experts} shared |
| attention | MLA, latents of {kv_lora_rank} + {qk_rope_head_dim}; YaRN {factor:g} x {original}, context {context:,} |
| vocabulary | {vocab_size:,}: {base:,} byte pairs in Kimi's rank format, and Kimi's 256 special tokens |
| weights | routed experts INT4 group 32 (trained that way), the others 8 bits (BF16 in the checkpoint) |
| licence | MIT, as the program |

## Data

All texts are made by `tools/train_demo/curriculum` with fixed seeds: no text of anybody else is in it. Stories by
grammar; sums with their working in `<think>`; facts to be found in what people say and in messages, tables, lists and
instructions; names and results that a conversation goes on from; copying; small talk; tools: dates, weather, searches,
tools of any name, several calls in one turn, chains of up to 12 calls, news reports, and what `kimi-cpu agent` brings;
and questions of all kinds that it declines. What is asked is put together from parts, in tens of thousands of shapes.
Words of many examples are replaced throughout by words of any kind, so that what is said again is what stands there;
some answers come without a thought. What is phrased as the examination below is left out. They are rendered with Kimi's
template; only what the assistant writes counts in the loss (plain texts count as a whole). A question is held out when
the hash of what makes it that question says so (one in 16), so no test question is in the training set (`tests/demo`
checks it). Requests for stories are the exception: there the stories are held out.

## Training

{training}

```
python -m tools.train_demo RUN                                   # on a GPU; started again, it resumes
python -m tools.train_demo.finish RUN kimi_cpu/data/demo.gguf     # export, and kimi-cpu convert
python -m tools.train_demo.evaluate kimi_cpu/data/demo.gguf --run RUN --checkpoint RUN/kimi-cpu-demo -o RUN/scores.json
python -m tools.train_demo.card kimi_cpu/data/demo.gguf RUN RUN/scores.json -o kimi_cpu/data/demo.md
```

| step | tokens | loss of the last 100 steps | held-out loss of prose |
|---:|---:|---:|---:|
{log}

## Held-out scores

By the engine as it runs by default (int8 activations, INT4 experts), greedily, through `llm.chat` with the tools
declared; a question is right when every call and the answer are.

| task | questions | right | |
|---|---:|---:|---|
{scores}

## Examination

{examination}

## Rounding

{rounding}
"""

EXAMINATION = """300 questions that strangers ask, in words that training never uses (`tools/train_demo/examination`):
asked as they would, with the file's own defaults, and judged by a program. Rightly declined: the model says that it
cannot do what it cannot.

{table}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the model card.")
    parser.add_argument("file", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    figures = json.loads(options.scores.read_text())
    log = [json.loads(line) for line in (options.run / "log.jsonl").read_text().splitlines()]
    options.out.write_text(card(options.file, figures, log))


def card(file: Path, figures: dict, log: list[dict]) -> str:
    """The card's text. figures: what evaluate wrote; log: the lines of the run's log."""
    with ModelFile.open(file) as model_file:
        weights = model_file.num_weights
    c, yarn = recipe.CONFIG, recipe.CONFIG["rope_scaling"]
    idle = c["n_routed_experts"] - c["num_experts_per_tok"]
    moe_layers = c["num_hidden_layers"] - c["first_k_dense_replace"]
    unused = idle * moe_layers * 3 * c["hidden_size"] * c["moe_intermediate_size"] + c["vocab_size"] * c["hidden_size"]
    return TEXT.format(
        **c,
        size=file.stat().st_size,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        weights=weights,
        active=weights - unused,
        factor=yarn["factor"],
        original=yarn["original_max_position_embeddings"],
        context=c["max_position_embeddings"],
        base=recipe.BASE_VOCAB,
        training=_training(log),
        log=_log(log),
        scores=_scores(figures),
        examination=EXAMINATION.format(table=examination.table(figures["examination"])),
        rounding=_rounding(figures),
    )


def _training(log: list[dict]) -> str:
    last = log[-1]
    begun = [line for line in log if "device" in line]
    ends = [*begun[1:], last]
    runs = ", ".join(
        f"{end['step'] - line['step']:,} in {(end['seconds'] - line['seconds']) / 60:.1f} minutes on {line['device']}"
        for line, end in zip(begun, ends, strict=True)
    )
    phases = "; ".join(f"{p.mix!r} to step {p.until_step:,} (Muon's rate {p.muon_lr})" for p in recipe.PHASES)
    return (
        f"{last['step']:,} steps of {recipe.TOKENS:,} tokens, {last['tokens'] / 1e6:,.0f} million tokens of which none "
        f"came twice: {runs}. Mixes: {phases}. Muon for matrices, Adam for the rest; the rates fall to zero in a line "
        f"over the last {recipe.FALL_STEPS:,} steps. Attention starts with heads that copy (`copying.py`). Routed "
        "experts are rounded to INT4 in every forward pass from the first step on (straight-through). The routers' "
        "biases move after every step towards an even load."
    )


def _log(log: list[dict], rows: int = 16) -> str:
    scored = [i for i, line in enumerate(log) if "scores" in line]
    scored = scored[:: max(1, len(scored) // rows)] + scored[-1:]
    out = []
    for i in dict.fromkeys(scored):
        loss = next(line["loss"] for line in reversed(log[:i]) if "loss" in line)
        line = log[i]
        out.append(f"| {line['step']} | {line['tokens'] / 1e6:.1f} M | {loss:.3f} | {line['scores']['prose']:.3f} |")
    return "\n".join(out)


def _scores(figures: dict) -> str:
    rows = [(task, *figures[f"scores/{task}"]) for task in COUNTS]
    return "\n".join(f"| {task} | {count} | {share:.1%} | {MEANING[task]} |" for task, share, count in rows)


def _rounding(figures: dict) -> str:
    int8 = figures["int8"]
    lines = [
        f"* int8 activations against float32, on held-out prose: perplexity {int8['perplexity']:.4f} against "
        f"{int8['perplexity_f32']:.4f}, mean KL {int8['mean_kl']:.1e}, the same likeliest token "
        f"{int8['same_choice']:.2%}."
    ]
    if "transformers" in figures:
        t = figures["transformers"]
        lines.append(
            f"* The same against transformers' DeepseekV3ForCausalLM in float32 on the checkpoint (there the other "
            f"matrices are BF16): perplexity {t['perplexity']:.4f} against {t['perplexity_oracle']:.4f}, mean KL "
            f"{t['mean_kl']:.1e}."
        )
    if "int4" in figures:
        pairs = ", ".join(f"{task} {a:.4f} / {b:.4f}" for task, (a, b) in figures["int4"].items())
        lines.append(f"* Held-out losses with INT4 experts / with the unrounded ones under them: {pairs}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
