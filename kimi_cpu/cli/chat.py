"""kimi-cpu chat: a conversation on a terminal, or from a pipe."""

import asyncio

import click

from .options import (
    conversation_options,
    loading_of,
    model_options,
    require_model,
    reuse_options,
    sampling_options,
    thinking_of,
)
from .telling import warn


@click.command("chat")
@conversation_options
@model_options
@reuse_options
@sampling_options
def command(system, session, hide_thinking, model, **options) -> None:
    """Hold a conversation. What was computed for earlier turns is not computed again.

    Lines that begin with / are commands; /help lists them. Alt-Enter begins a new line, and so does Enter after three
    quotes, until they are closed. While an answer comes, Ctrl-T ends the thinking ("answer now") and Ctrl-C stops the
    answer and keeps it; Ctrl-C at an empty prompt leaves (exit code 130), and so do Ctrl-D and /exit (0). From a pipe,
    each line is a message. Saved conversations lie in $XDG_DATA_HOME/kimi-cpu/sessions, the history of what was typed
    in $XDG_STATE_HOME/kimi-cpu/history (none with KIMI_CPU_NO_HISTORY=1); only you can read them.

    \b
    kimi-cpu chat -m k2.gguf
    kimi-cpu chat -m k2.gguf --session talk --think-budget 4000
    printf '%s\\n' "What is 17 + 25?" "And twice that?" | kimi-cpu chat -m k2.gguf
    """
    thinking = thinking_of(options)
    if session is not None:
        from ..llm import check_conversation

        check_conversation(session, [model])
    path = require_model(model)
    loading = loading_of(options)
    from .loading import load_model
    from .repl import AnswerOptions, Repl

    with load_model(path, **loading) as llm:
        talk = llm.conversation(session, system)
        warn(talk.notices)
        asyncio.run(Repl(llm, talk, AnswerOptions(options | thinking), hide_thinking).run())
