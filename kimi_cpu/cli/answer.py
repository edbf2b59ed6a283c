"""An answer on a terminal or in a pipe: content on stdout, everything else on stderr."""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import click

from ..errors import SessionError
from ..llm import LLM, ChatCompletion, Piece
from ..llm.session import LLMSession


def show(pieces: Iterable[Piece], hide_thinking: bool) -> list[Piece]:
    """Prints pieces as they come and the statistics after them; returns them."""
    dim = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    shown, thinking = [], False
    for piece in pieces:
        shown.append(piece)
        if piece.reasoning_content and not hide_thinking:
            text = click.style(piece.reasoning_content, dim=True) if dim else piece.reasoning_content
            click.echo(text, nl=False, err=True)
            thinking = True
        if piece.content:
            if thinking:
                click.echo(err=True)
                thinking = False
            click.echo(piece.content, nl=False)
    if thinking:
        click.echo(err=True)
    click.echo()
    _report(shown[-1])
    return shown


def chat(
    llm: LLM, text: str, system: str | None, path: Path | None, as_json: bool, hide_thinking: bool, options: dict
) -> None:
    """One turn of a conversation, which a session file may hold."""
    session, messages = _open(llm, path)
    if system is not None:
        messages = [{"role": "system", "content": system}, *(m for m in messages if m["role"] != "system")]
    messages.append({"role": "user", "content": text})
    if as_json:
        completion = llm.chat(messages, session=session, **options)
        click.echo(json.dumps(_openai(llm, completion), ensure_ascii=False))
        _warn(completion.warnings)
        turn = completion.message()
    else:
        pieces = show(llm.stream(messages, session=session, **options), hide_thinking)
        turn = _turn(pieces)
    if path is not None:
        session.save(path)
        _messages_path(path).write_text(json.dumps([*messages, turn], ensure_ascii=False, indent=1), encoding="utf-8")


def _open(llm: LLM, path: Path | None) -> tuple[LLMSession | None, list[dict]]:
    """The session of a file, or a new one; its messages lie beside it."""
    if path is None:
        return None, []
    messages_path = _messages_path(path)
    messages = json.loads(messages_path.read_text(encoding="utf-8")) if messages_path.exists() else []
    if not path.exists():
        return llm.session(), messages
    try:
        return llm.load_session(path), messages
    except SessionError as e:
        click.echo(f"kimi-cpu: warning: {e}", err=True)
        return llm.session(), messages


def _messages_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _turn(pieces: list[Piece]) -> dict:
    """The pieces of a turn as a message."""
    turn = {"role": "assistant", "content": "".join(p.content for p in pieces)}
    reasoning = "".join(p.reasoning_content for p in pieces)
    return turn | ({"reasoning_content": reasoning} if reasoning else {})


def _report(last: Piece) -> None:
    usage, timings = last.usage, last.timings
    _warn(last.warnings)
    computed = usage.prompt_tokens - usage.cached_tokens
    prefill = computed / timings.prefill_s if timings.prefill_s else 0.0
    decode = (usage.completion_tokens - 1) / timings.decode_s if timings.decode_s else 0.0
    click.echo(
        f"kimi-cpu: prompt {usage.prompt_tokens} tokens ({usage.cached_tokens} cached), {prefill:.1f} tokens/s; "
        f"answer {usage.completion_tokens} tokens ({usage.reasoning_tokens} thinking), {decode:.1f} tokens/s",
        err=True,
    )


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        click.echo(f"kimi-cpu: warning: {warning}", err=True)


def _openai(llm: LLM, completion: ChatCompletion) -> dict:
    """OpenAI's chat.completion object."""
    usage = completion.usage
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": llm.path.stem,
        "choices": [{"index": 0, "message": completion.message(), "finish_reason": completion.finish_reason}],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        },
    }
