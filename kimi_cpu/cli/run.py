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
@click.option("--system", metavar="TEXT", help="System message.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the chat template.")
@click.option("--no-think", is_flag=True, help="Close the thinking block at once.")
@click.option("--think-budget", type=click.IntRange(0), metavar="N", help="Tokens of thinking, then the answer.")
@click.option("--hide-thinking", is_flag=True, help="Do not show the thinking on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one OpenAI chat.completion object.")
@click.option("--session", type=click.Path(path_type=Path, dir_okay=False), help="Keep the conversation in this file.")
@model_options
@sampling_options
def command(
    prompt, prompt_option, file, system, raw, no_think, think_budget, hide_thinking, as_json, session, model, **options
) -> None:
    """Answer PROMPT; the answer goes to stdout as it comes, thinking and statistics to stderr.

    \b
    kimi-cpu run -m k2.gguf "Why is the sky blue?"
    kimi-cpu run -m k2.gguf -f question.txt --think-budget 2000
    echo "Once upon a time" | kimi-cpu run -m k2.gguf --raw -n 64
    """
    if raw and (system or no_think or think_budget is not None or session or as_json):
        raise click.UsageError("--raw takes no --system, --no-think, --think-budget, --session or --json.")
    text = _prompt(prompt, prompt_option, file)
    path = require_model(model)
    loading = {name: options.pop(name) for name in ("threads", "context", "kv", "compute", "chunk")}
    from ..llm import load
    from . import answer
    from .warmup import compile_kernels

    compile_kernels()
    with load(path, **loading) as llm:
        if raw:
            answer.show(llm.stream(text, **options), hide_thinking=True)
            return
        options |= {"no_think": no_think, "think_budget": think_budget}
        answer.chat(llm, text, system, session, as_json, hide_thinking, options)


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
