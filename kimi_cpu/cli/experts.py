"""kimi-cpu experts: which of a model's routed experts are used, how often, and which are always in memory."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, Interrupted
from . import EXIT_INTERRUPTED
from .display import Display, say
from .input import read_prompt
from .interrupts import CTRL_C, first_interrupt
from .options import loading_of, model_option, model_options, require_model, sampling_options

if TYPE_CHECKING:
    import numpy as np

SHARES = (0.1, 0.25, 0.5)  # of a layer's experts, the most used ones


@click.group("experts")
def experts_command() -> None:
    """Count which of a model's routed experts are used, show it, and keep some in memory.

    \b
    kimi-cpu experts record -m k2.gguf -f question.txt -o counts.json
    kimi-cpu experts show counts.json --png counts.png
    kimi-cpu experts pin counts.json --percent 5
    """


@experts_command.command("record")
@click.argument("prompt", required=False)
@click.option(
    "-f", "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read the prompt here."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where the counts go; they are added to those that are there.",
)
@model_options
@sampling_options
def record_command(prompt: str | None, file: Path | None, output: Path, model: Path | None, **options: Any) -> None:
    """Answer PROMPT as `run` does, and count how many tokens, of the prompt and of the answer, use each expert.

    The answer goes to stdout. Ctrl-C ends it, as with `run`, and what there is of it is counted. Without PROMPT or -f,
    or with - as PROMPT, the prompt is read from stdin.

    \b
    kimi-cpu experts record -m k2.gguf "Why is the sky blue?" -n 200 -o counts.json
    cat chapter.txt | kimi-cpu experts record -m k2.gguf -o novel.json
    """
    text = read_prompt(prompt, None, file)
    if not text:
        raise click.UsageError("The prompt is empty.")
    path = require_model(model)
    loading = loading_of(options)
    from ..residency import heat
    from .loading import load_model

    before = heat.load(output) if output.exists() and output.stat().st_size else None
    with load_model(path, **loading, read_ahead=False, record_experts=True) as llm:
        if before is not None and before.model != llm.model_hash:
            raise ConfigError(f"{output} holds counts of another model than {path}; name another file.")
        handle = llm.conversation().submit(text, **options)
        display = Display(handle.num_prompt_tokens)
        with first_interrupt(handle.cancel) as interrupted:
            try:
                for piece in handle:
                    display.push(piece)
            finally:
                display.finish()
            stopped_by = interrupted()
        counts = llm.expert_uses()
        heat.Heat(llm.model_hash, counts if before is None else counts + before.counts).save(output)
    say(f"{output}: {_num_tokens(counts, llm.config.num_experts_per_tok):,} tokens were counted.")
    if stopped_by == CTRL_C:
        sys.exit(EXIT_INTERRUPTED)
    if stopped_by:
        raise Interrupted(f"Stopped by {stopped_by}; what there was of the answer is counted.")


@experts_command.command("show")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--png", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Draw a heat map here.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: what each share of the experts covers.")
def show_command(file: Path | None, model: Path | None, png: Path | None, as_json: bool) -> None:
    """Show the counts of FILE: for each layer how often its experts are used, in the order of their numbers, and which
    share of the uses the most used tenth, quarter and half of them has.

    Without FILE, show what a model with experts on disk keeps from run to run: how much it used each of them of late.

    \b
    kimi-cpu experts show counts.json
    kimi-cpu experts show -m k2.gguf
    kimi-cpu experts show counts.json --png counts.png
    """
    from ..residency import heat
    from . import heatmap

    recorded = heat.load(file) if file is not None else heat.left_behind(require_model(model))
    covered = {layer: _covered(recorded.counts[layer]) for layer in recorded.layers}
    if png is not None:
        heatmap.write(png, recorded.counts[recorded.layers])
    if as_json:
        click.echo(json.dumps({"model": recorded.model, "shares": SHARES, "covered": covered}))
        return
    heads = "  ".join(f"top {share:.0%}" for share in SHARES)
    width = min(heatmap.COLUMNS, recorded.counts.shape[1])
    click.echo(f"layer  {'':{width}}  {heads}  unused")
    for layer in recorded.layers:
        counts = recorded.counts[layer]
        shares = "  ".join(f"{part:7.0%}" for part in covered[layer])
        click.echo(f"{layer:5}  {heatmap.blocks(counts)}  {shares}  {int((counts == 0).sum()):6}")


@experts_command.command("pin")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--percent", type=click.FloatRange(0, 100), default=10.0, show_default=True, help="Of all experts; 0 pins none."
)
def pin_command(file: Path, percent: float) -> None:
    """Have the model of FILE keep its most used experts in memory, whatever is asked of it.

    That pays where a machine does one kind of work and has room for a part of the experts; otherwise what is used of
    late is a better guide, and pinned experts take its room. It holds for every later run, until memory gets short. The
    list lies in $XDG_STATE_HOME/kimi-cpu/pinned (~/.local/state).

    \b
    kimi-cpu experts pin novel.json --percent 5
    kimi-cpu experts pin novel.json --percent 0
    """
    from ..residency import heat

    count = heat.pin(heat.load(file), percent / 100)
    say(f"{count:,} experts are pinned." if count else "no experts are pinned.")


def _covered(counts: "np.ndarray") -> list[float]:
    """The share of a layer's uses that the most used experts have, for each of SHARES."""
    falling = sorted(counts.tolist(), reverse=True)
    return [round(sum(falling[: max(1, round(share * len(falling)))]) / sum(falling), 4) for share in SHARES]


def _num_tokens(counts: "np.ndarray", num_experts_per_tok: int) -> int:
    """Tokens that went through a model's layers."""
    return int(counts.sum(axis=1).max()) // num_experts_per_tok
