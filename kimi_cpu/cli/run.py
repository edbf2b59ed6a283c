"""kimi-cpu run: one prompt, one answer."""

import sys
from pathlib import Path

import click

from .options import model_options, require_model, sampling_options


@click.command("run")
@click.argument("prompt", required=False)
@click.option("-p", "--prompt", "prompt_option", metavar="TEXT", help="The prompt, as an option.")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read the prompt here."
)
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the chat template.")
@model_options
@sampling_options
def command(prompt, prompt_option, file, raw, model, context, threads, chunk, kv, compute, **sampling) -> None:
    """Answer PROMPT; the answer goes to stdout as it comes.

    \b
    kimi-cpu run -m k2.gguf --raw "Once upon a time" -n 64
    echo "Once upon a time" | kimi-cpu run -m k2.gguf --raw -
    """
    text = _prompt(prompt, prompt_option, file)
    path = require_model(model)
    from ..llm import load

    with load(path, threads=threads, context=context, kv=kv, compute=compute, chunk=chunk) as llm:
        for piece in llm.stream(text, **sampling):
            click.echo(piece.content, nl=False)
        click.echo()


def _prompt(argument: str | None, option: str | None, file: Path | None) -> str:
    """The prompt from wherever it was given; "-" and a pipe are stdin."""
    given = [x for x in (argument, option, file) if x is not None]
    if len(given) > 1:
        raise click.UsageError("Give the prompt once: as an argument, with -p or with -f.")
    if file is not None:
        return file.read_text(encoding="utf-8")
    text = argument if argument is not None else option
    if text == "-" or (text is None and not sys.stdin.isatty()):
        return sys.stdin.read()
    if text is None:
        raise click.UsageError("No prompt was given.")
    return text
