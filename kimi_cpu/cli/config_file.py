"""The configuration file: defaults of options, below the command line and the environment."""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

from ..errors import ConfigError
from ..files import user_folder
from ..filetypes import decoded


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
    a command's own table for it alone. ConfigError: no command has the option."""
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
    return found


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options by their long names without dashes."""
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
