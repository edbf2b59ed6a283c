"""kimi-cpu run: one prompt, one answer."""

import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Interrupted
from . import EXIT_INTERRUPTED
from .display import Display, ending, figures, say, warn
from .input import read_prompt
from .interrupts import CTRL_C, first_interrupt
from .options import (
    cluster_of,
    conversation_options,
    loading_of,
    model_options,
    require_model,
    sampling_options,
    stages_option,
    thinking_of,
)

if TYPE_CHECKING:
    from ..llm import LLM, Generation


@click.command("run")
@click.argument("prompt", required=False)
@click.option("-p", "--prompt", "prompt_option", metavar="TEXT", help="The prompt, as an option.")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read the prompt here."
)
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Print one OpenAI chat.completion object.")
@click.option("--ray", metavar="ADDRESS", help="The Ray cluster of --ray-stages; local makes one of this machine.")
@stages_option
@conversation_options
@model_options
@sampling_options
def run_command(
    prompt: str | None,
    prompt_option: str | None,
    file: Path | None,
    raw: bool,
    as_json: bool,
    ray: str | None,
    ray_stages: int | None,
    system: str | None,
    session: Path | None,
    hide_thinking: bool,
    model: Path | None,
    **options: Any,
) -> None:
    """Answer PROMPT. The answer alone goes to stdout, as it comes; thinking and statistics go to stderr.

    Without PROMPT, -p or -f, or with - as PROMPT, the prompt is read from stdin. The first Ctrl-C ends the answer and
    keeps what there is of it, a second one leaves at once; the exit code is 130 then; SIGTERM and SIGHUP end it like
    the first, with 6.

    \b
    kimi-cpu run -m k2.gguf "Why is the sky blue?"
    kimi-cpu run -m k2.gguf -f question.txt --think-budget 2000 > answer.txt
    git diff | kimi-cpu run -m k2.gguf --system "Write a commit message." --no-think
    echo "Once upon a time" | kimi-cpu run -m k2.gguf --raw -n 64
    kimi-cpu run -m k2.gguf --session talk "And now in French." --json
    kimi-cpu run -m /models/k2.gguf --ray 10.0.0.1:6379 --ray-stages 3 "Why is the sky blue?"
    """
    thinking = thinking_of(options)
    heavy = options.pop("heavy")
    if raw and (system or thinking or session or as_json or heavy > 1):
        raise click.UsageError("--raw takes no --system, --session, --json, --heavy or limit of thinking.")
    if ray is not None and ray_stages is None:
        raise click.UsageError("--ray names the cluster of --ray-stages, which is not given.")
    ray = cluster_of(ray, ray_stages, False, None)
    text = read_prompt(prompt, prompt_option, file)
    if not text:
        raise click.UsageError("The prompt is empty.")
    with suppress(io.UnsupportedOperation):  # no real stdout
        os.write(sys.stdout.fileno(), b"")  # nobody need wait for an answer that cannot be read
    if session is not None:
        from ..llm import check_conversation

        check_conversation(session, [file, model])
    path = require_model(model)
    loading = loading_of(options)
    from .loading import opened_model

    with opened_model(path, ray, ray_stages, **loading) as llm:
        if raw:
            interrupted = _answer(llm, llm.submit(text, **options), False, True, options["max_tokens"])
        else:
            talk = llm.conversation(session, system)
            warn(talk.notices)
            handle = talk.submit(text, heavy=heavy, **options, **thinking)
            interrupted = _answer(llm, handle, as_json, hide_thinking, options["max_tokens"])
            if session is not None:
                talk.save()
    if interrupted == CTRL_C:
        sys.exit(EXIT_INTERRUPTED)
    if interrupted:
        raise Interrupted(f"Stopped by {interrupted}; what there was of the answer is kept.")


def _answer(
    llm: "LLM", handle: "Generation[Any]", as_json: bool, hide_thinking: bool, max_tokens: int | None
) -> str | None:
    """Prints an answer; returns the signal that ended it, if one did."""
    with first_interrupt(handle.cancel) as interrupted:
        display = Display(handle.num_prompt_tokens, hide_thinking, quiet=as_json)
        try:
            for piece in handle:
                display.push(piece)
        finally:
            display.finish()
        answer = handle.result()
        if as_json:
            from ..llm.openai import chat_object

            document = chat_object(answer, llm.path.stem, llm.tokenizer.token_bytes)
            click.echo(json.dumps(document, ensure_ascii=False))
        if max_tokens == 0:
            say("no tokens were asked for (-n 0), so nothing was generated.")
        else:
            *lines, last = figures(llm, answer)
            for line in lines:
                say(line)
            why = ending(answer, llm.context)
            say(last if why is None else f"{last}; {why}")
        warn(getattr(answer, "warnings", ()))
        return interrupted()
