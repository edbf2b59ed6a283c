"""What commands say to a person, beside their results: lines on stderr."""

from collections.abc import Iterable

import click


def say(text: str) -> None:
    """One line on stderr."""
    click.echo(f"kimi-cpu: {text}", err=True)


def warn(warnings: Iterable[str]) -> None:
    """One line each on stderr."""
    for warning in warnings:
        say(f"warning: {warning}")
