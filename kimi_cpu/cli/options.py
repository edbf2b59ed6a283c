"""Groups of options that several commands share, each one decorator."""

from collections.abc import Sequence
from pathlib import Path

import click

from ..config import parameters, size_bytes
from ..config.field import Door, Field, Kind
from ..config.fields import SAMPLING, THINKING
from ..errors import ConfigError, RequestError


class SizeType(click.ParamType):
    """48GiB, 64G, 1500000: bytes."""

    name = "size"

    def convert(self, value, param, ctx) -> int:
        """Bytes of a text."""
        try:
            return size_bytes(value)
        except ConfigError as e:
            self.fail(str(e), param, ctx)


SIZE = SizeType()


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
                help="What the cache of all sequences may grow to. [default: 1/8 of the usable RAM, or one context]",
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


class FieldType(click.ParamType):
    """The values of a field of requests."""

    def __init__(self, field: Field):
        self._field = field
        self.name = {Kind.NUMBER: "float", Kind.INTEGER: "integer"}.get(field.kind, "text")

    def convert(self, value, param, ctx):
        """As the field's own check; a usage error for a value that it does not take."""
        try:
            return self._field.parsed(value) if isinstance(value, str) else self._field.checked(value)
        except RequestError as e:
            self.fail(str(e), param, ctx)

    def of_all(self, ctx, param, values):
        """A callback for an option that was given several times."""
        return self.convert(values, param, ctx)


def sampling_options(command):
    """-n, --temp, --top-p, …: the fields of Sampling."""
    return _field_options(command, SAMPLING)


def thinking_options(command):
    """--no-think, --think-budget, …: the fields that limit thinking."""
    return _field_options(command, THINKING)


def conversation_options(command):
    """--system, --no-think, …: how a chat is held and shown."""
    for option in reversed(
        [
            click.option("--system", metavar="TEXT", help="System message."),
            thinking_options,
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


def _field_options(command, fields: Sequence[Field]):
    """An option for each of the fields that the command line has."""
    for field in reversed([f for f in fields if Door.COMMAND_LINE in f.doors]):
        flags = field.flags or (f"--{field.name.replace('_', '-')}",)
        if field.kind is Kind.FLAG:
            option = click.option(*flags, field.name, is_flag=True, help=field.help)
        elif field.kind is Kind.TEXTS:
            said = f"{field.help} May be given several times."
            option = click.option(*flags, field.name, multiple=True, callback=FieldType(field).of_all, help=said)
        elif field.choices:
            option = click.option(*flags, field.name, type=click.Choice(field.choices), help=field.help)
        else:
            told = f" [default: {field.unset}]" if field.unset else ""
            default = {} if field.default is None else {"default": field.default, "show_default": True}
            option = click.option(*flags, field.name, type=FieldType(field), help=field.help + told, **default)
        command = option(command)
    return command


def thinking_of(options: dict) -> dict:
    """Takes what is said about thinking out of a command's options. A usage error: it contradicts itself."""
    taken = {field.name: options.pop(field.name, None) for field in THINKING}
    try:
        return parameters.think_keywords({name: value for name, value in taken.items() if value is not None})
    except RequestError as e:
        raise click.UsageError(str(e)) from e


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
