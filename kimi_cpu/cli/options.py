"""Groups of options that several commands share, each one decorator."""

from pathlib import Path

import click

from .sizes import SIZE


def model_options(command):
    """-m, -c, -t, -b, --kv, --compute: which model, and how it is loaded. Their environment variables hold for all
    commands, so that they carry no command's name."""
    for option in reversed(
        [
            click.option(
                "-m",
                "--model",
                metavar="FILE",
                type=click.Path(path_type=Path),
                envvar="KIMI_CPU_MODEL",
                help="Model file made by `kimi-cpu convert`. [default: a small demonstration model]",
            ),
            click.option(
                "-c",
                "--context",
                type=click.IntRange(1),
                envvar="KIMI_CPU_CONTEXT",
                help="Tokens of context. [default: the model's]",
            ),
            click.option(
                "-t",
                "--threads",
                type=click.IntRange(1),
                envvar="KIMI_CPU_THREADS",
                help="Threads. [default: one a physical core]",
            ),
            click.option(
                "-b",
                "--chunk",
                type=click.IntRange(1),
                envvar="KIMI_CPU_CHUNK",
                default=512,
                show_default=True,
                help="Prompt tokens a step.",
            ),
            click.option(
                "--kv",
                type=click.Choice(["f16", "int8", "f32"]),
                envvar="KIMI_CPU_KV",
                help="Type of the cache; f32 with --compute f32.",
            ),
            click.option(
                "--compute",
                type=click.Choice(["int8", "f32"]),
                envvar="KIMI_CPU_COMPUTE",
                default="int8",
                show_default=True,
                help="Activations: 8 bits, fast; or f32, exact.",
            ),
        ]
    ):
        command = option(command)
    return command


def reuse_options(command):
    """--cache-memory, --read-ahead, --speculate: what is kept, and computed before it is asked for."""
    for option in reversed(
        [
            click.option(
                "--cache-memory",
                type=SIZE,
                help="What the cache of all sequences may grow to. [default: 1/8 of the RAM, or one context]",
            ),
            click.option(
                "--read-ahead/--no-read-ahead",
                default=True,
                show_default=True,
                help="After a turn, compute what the next will begin with while nothing else runs.",
            ),
            click.option(
                "--speculate/--no-speculate",
                default=True,
                show_default=True,
                help="Draft what a text repeats, where that pays; answers are the same.",
            ),
        ]
    ):
        command = option(command)
    return command


def sampling_options(command):
    """-n, --temp, --top-p, …: fields of Sampling."""
    for option in reversed(
        [
            click.option(
                "-n", "--max-tokens", type=click.IntRange(0), help="Tokens to generate at most. [default: no limit]"
            ),
            click.option(
                "--temp",
                "--temperature",
                "temperature",
                type=click.FloatRange(0),
                default=1.0,
                show_default=True,
                help="0 is greedy.",
            ),
            click.option(
                "--top-p",
                type=click.FloatRange(0, 1, min_open=True),
                default=1.0,
                show_default=True,
                help="Nucleus; 1 is off.",
            ),
            click.option(
                "--top-k", type=click.IntRange(0), default=0, show_default=True, help="Best K only; 0 is off."
            ),
            click.option(
                "--min-p",
                type=click.FloatRange(0, 1),
                default=0.0,
                show_default=True,
                help="Share of the best; 0 is off.",
            ),
            click.option(
                "--repeat-penalty",
                type=click.FloatRange(0, min_open=True),
                default=1.0,
                show_default=True,
                help="1 is off.",
            ),
            click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="[default: another one every time]"),
            click.option("--stop", multiple=True, help="End before this text; may be given several times."),
            click.option("--ignore-eos", is_flag=True, help="Go on after the end-of-text token."),
        ]
    ):
        command = option(command)
    return command


def chat_options(command):
    """--system, --no-think, …: how a chat is held and shown."""
    for option in reversed(
        [
            click.option("--system", metavar="TEXT", help="System message."),
            click.option("--no-think", is_flag=True, help="Close the thinking block at once."),
            click.option("--think-budget", type=click.IntRange(0), metavar="N", help="Tokens of thinking at most."),
            click.option("--hide-thinking", is_flag=True, help="Do not show the thinking on stderr."),
            click.option(
                "--session",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Keep the conversation in this file, and all that was computed for it.",
            ),
        ]
    ):
        command = option(command)
    return command


def loading_of(options: dict) -> dict:
    """Takes what kimi_cpu.load wants out of a command's options."""
    names = ("threads", "context", "kv", "compute", "chunk", "cache_memory", "read_ahead", "speculate")
    return {name: options.pop(name) for name in names if name in options}


def require_model(model: Path | None) -> Path:
    """The model that was named, or the bundled one, and then stderr says so. A usage error for a directory."""
    if model is None:
        from ..llm import BUNDLED_MODEL, bundled_note

        click.echo(bundled_note(), err=True)
        return BUNDLED_MODEL
    if model.is_dir():
        raise click.UsageError(f"{model} is a directory. Make a file of a checkpoint with `kimi-cpu convert`.")
    return model
