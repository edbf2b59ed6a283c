"""Groups of options that several commands share, each one decorator."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..config import parameters, size_bytes
from ..config.field import Door, Field, Kind
from ..config.fields import SAMPLING, THINKING
from ..errors import ConfigError, RequestError

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


class SizeType(click.ParamType):
    """A number of bytes: 48GiB, 64G, 1500000."""

    name = "size"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of a text."""
        try:
            return size_bytes(value)
        except ConfigError as e:
            self.fail(str(e), param, ctx)


SIZE = SizeType()


def _together(*options: Decorator) -> Decorator:
    """One decorator of several, which stand in `--help` in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


# The model, and how it is loaded. Environment variables hold for all commands, so that they carry no command's name.
model_options = _together(
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
)

# Results that are kept, and results that are computed before they are asked for.
reuse_options = _together(
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
)


class FieldType(click.ParamType):
    """The values of a field of requests."""

    def __init__(self, field: Field):
        self._field = field
        self.name = {Kind.NUMBER: "float", Kind.INTEGER: "integer"}.get(field.kind, "text")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, checked by the field itself. A usage error: the field does not take it."""
        try:
            return self._field.parsed(value) if isinstance(value, str) else self._field.checked(value)
        except RequestError as e:
            self.fail(str(e), param, ctx)

    def of_all(self, ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Any:
        """A callback for an option that was given several times."""
        return self.convert(values, param, ctx)


def _field_options(fields: Sequence[Field]) -> Decorator:
    """An option for each of the fields that the command line has."""
    return _together(*(_field_option(field) for field in fields if Door.COMMAND_LINE in field.doors))


def _field_option(field: Field) -> Decorator:
    flags = field.flags or (f"--{field.name.replace('_', '-')}",)
    if field.kind is Kind.FLAG:
        return click.option(*flags, field.name, is_flag=True, help=field.help)
    if field.kind is Kind.TEXTS:
        several = f"{field.help} May be given several times."
        return click.option(*flags, field.name, multiple=True, callback=FieldType(field).of_all, help=several)
    if field.choices:
        return click.option(*flags, field.name, type=click.Choice(field.choices), help=field.help)
    unset = f" [default: {field.unset}]" if field.unset else ""
    default = {} if field.default is None else {"default": field.default, "show_default": True}
    return click.option(*flags, field.name, type=FieldType(field), help=field.help + unset, **default)


sampling_options = _field_options(SAMPLING)  # -n, --temp, --top-p, …
thinking_options = _field_options(THINKING)  # --no-think, --think-budget, …

# How a conversation is held and shown.
conversation_options = _together(
    click.option("--system", metavar="TEXT", help="System message."),
    thinking_options,
    click.option("--hide-thinking", is_flag=True, help="Do not show the thinking on stderr."),
    click.option(
        "--session",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Keep the conversation in this file, and all that was computed for it.",
    ),
)


def thinking_of(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the limits of thinking out of a command's options. A usage error: they contradict each other."""
    taken = {field.name: options.pop(field.name, None) for field in THINKING}
    try:
        return parameters.think_keywords({name: value for name, value in taken.items() if value is not None})
    except RequestError as e:
        raise click.UsageError(str(e)) from e


def loading_of(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the keywords of kimi_cpu.load out of a command's options."""
    names = ("threads", "context", "kv", "compute", "chunk", "cache_memory", "read_ahead", "speculate")
    return {name: options.pop(name) for name in names if name in options}


def require_model(model: Path | None) -> Path:
    """The file of the model that was named, or of the bundled one, with a note on stderr. A usage error: it is a
    directory."""
    if model is None:
        from ..llm import BUNDLED_MODEL, bundled_note

        click.echo(bundled_note(), err=True)
        return BUNDLED_MODEL
    if model.is_dir():
        raise click.UsageError(f"{model} is a directory. Make a file of a checkpoint with `kimi-cpu convert`.")
    return model
