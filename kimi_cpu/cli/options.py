"""Options: groups of those that several commands share, each one decorator, and their defaults in the configuration
file, which come below the command line and the environment."""

import os
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..config import parameters, size_bytes
from ..config.field import Door, Field, Kind
from ..config.fields import HEAVY, SAMPLING, THINKING
from ..errors import ConfigError, RequestError
from ..files import user_folder
from ..filetypes import decoded

LOCAL = "local"  # see cluster.connection
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
model_option = click.option(
    "-m",
    "--model",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="KIMI_CPU_MODEL",
    help="Model file made by `kimi-cpu convert`. [default: a small demonstration model]",
)
model_options = _together(
    model_option,
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
        help="Prompt tokens a step. [default: 512; more when experts come from disk]",
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
    click.option(
        "--memory",
        type=SIZE,
        envvar="KIMI_CPU_MEMORY",
        help="RAM for all of it, as 48GiB; a larger file's experts come from disk. [default: what is free]",
    ),
    click.option(
        "--preload/--no-preload",
        default=True,
        show_default=True,
        help="Read a file that fits at once, and not as tokens need it; of a larger one, what its last run used most.",
    ),
    click.option(
        "--numa",
        type=click.Choice(["interleave", "off"]),
        envvar="KIMI_CPU_NUMA",
        default="interleave",
        show_default=True,
        help="With several memory nodes: spread the weights over them, or leave them where they are first read.",
    ),
)
stages_option = click.option(
    "--ray-stages",
    type=click.IntRange(2),
    metavar="K",
    help="Spread the model's layers over K hosts of the cluster that --ray names [local].",
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


# The hosts of a cluster, where engines run.
cluster_options = _together(
    click.option(
        "--ray", metavar="ADDRESS", help="Use the hosts of this Ray cluster; local makes one of this machine."
    ),
    click.option("--mixed", is_flag=True, help="With --ray, hosts of several kernel tiers, whose answers may differ."),
    click.option(
        "--fetch", metavar="COMMAND", help="With --ray, brings FILE to a host that lacks it, to the place {}."
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
    if field.kind is Kind.FLAG_OR_OBJECT:
        both = f"{flags[0]}/--no-{flags[0][2:]}"
        return click.option(both, field.name, default=None, help=f"{field.help} [default: {field.unset}]")
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
heavy_option = _field_options(HEAVY)
# How a conversation is held and shown.
conversation_options = _together(
    click.option("--system", metavar="TEXT", help="System message."),
    thinking_options,
    heavy_option,
    click.option("--hide-thinking", is_flag=True, help="Do not show the thinking on stderr."),
    click.option(
        "--session",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Keep the conversation in this file, and all that was computed for it.",
    ),
)


def cluster_of(ray: str | None, ray_stages: int | None, mixed: bool, fetch: str | None) -> str | None:
    """The address of a cluster, if there is one; stages have one of this machine by default. A usage error: there are
    options of hosts without a cluster, or of engines beside each other for stages."""
    if ray is None and ray_stages is None and (mixed or fetch is not None):
        raise click.UsageError("--mixed and --fetch are for the hosts of a cluster, which --ray names.")
    if ray_stages is not None and mixed:
        raise click.UsageError("--mixed is for engines that answer side by side; stages must be of one kernel tier.")
    return ray or (None if ray_stages is None else LOCAL)


def thinking_of(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the limits of thinking out of a command's options. A usage error: they contradict each other."""
    taken = {field.name: options.pop(field.name, None) for field in THINKING}
    try:
        return parameters.think_keywords({name: value for name, value in taken.items() if value is not None})
    except RequestError as e:
        raise click.UsageError(str(e)) from e


def loading_of(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the keywords of kimi_cpu.load out of a command's options."""
    names = (
        "threads",
        "context",
        "kv",
        "compute",
        "chunk",
        "cache_memory",
        "read_ahead",
        "speculate",
        "memory",
        "preload",
        "numa",
    )
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


def config_path() -> Path | None:
    """$XDG_CONFIG_HOME/kimi-cpu/config.toml, whether it exists or not; None without a home."""
    folder = user_folder("CONFIG")
    return None if folder is None else folder / "config.toml"


def read_config() -> dict:
    """The tables of the file; empty when there is none, or it lies in a home that is somebody else's. ConfigError: it
    is no TOML. OSError: it cannot be read."""
    path = config_path()
    if path is None:
        return {}
    try:
        return tomllib.loads(decoded(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        if os.access(path.parent, os.X_OK):
            raise
        return {}
    except ValueError as e:  # also of TOML
        raise ConfigError(f"{path} is not valid TOML: {e}") from e


def defaults(config: dict, command: click.Command, commands: Sequence[click.Command]) -> dict:
    """Parameter -> default of one command: keys outside of tables hold for every command that has the option, those in
    a command's own table for it alone. Of a group of commands: name -> theirs, which share the group's table.
    ConfigError: no command has the option."""
    found = {}
    own = config.get(command.name, {})
    for key, value in config.items():
        if isinstance(value, dict):
            if key not in (c.name for c in commands):
                raise ConfigError(f"{config_path()}: [{key}] is no command.")
        elif key in _options(command):
            found |= _value(_options(command)[key], key, value)
        elif not any(key in _options(c) for c in commands):
            raise ConfigError(f"{config_path()}: no command has an option --{key}.")
    for key, value in own.items():
        if key not in _options(command):
            raise ConfigError(f"{config_path()}: kimi-cpu {command.name} has no option --{key}.")
        found |= _value(_options(command)[key], key, value)
    if isinstance(command, click.Group):
        return {name: _of(found, member) for name, member in command.commands.items()}
    return found


def _of(found: dict, command: click.Command) -> dict:
    """Those of some defaults that are of parameters that the command has."""
    names = {p.name for p in command.params}
    return {name: value for name, value in found.items() if name in names}


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options by their long names without dashes; of a group, those of its commands."""
    if isinstance(command, click.Group):
        return {name: option for member in command.commands.values() for name, option in _options(member).items()}
    options = [p for p in command.params if isinstance(p, click.Option)]
    names = [(name, p) for p in options for name in (*p.opts, *p.secondary_opts)]
    return {name.removeprefix("--"): p for name, p in names if name.startswith("--")}


def _value(option: click.Option, key: str, value: object) -> dict:
    """The value that a key gives its option: `no-x = true` is `x = false`, and a single value need not be a list."""
    if f"--{key}" in option.secondary_opts and isinstance(value, bool):
        value = not value
    if option.multiple and not isinstance(value, list):
        value = [value]
    return {option.name: value}
