"""A conversation as the model reads it: the text of the chat template, and its ids."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate, chain, pairwise
from typing import Any

from jinja2 import TemplateError as JinjaError

from ..errors import RequestError, TemplateError
from ..tokenizer import Tokenizer
from ..tokenizer.pretokenize import NOTHING_BEFORE, Before, parts
from .messages import normalise_messages, normalise_tools
from .sandbox import Exhausted, budget_for, compile_template

RENDERER = {"add_generation_prompt", "messages", "template", "tokenizer", "tools"}  # variables of the renderer's own
PART = 100_000  # characters of a text that are searched at once
MAX_SPECIAL = 100  # characters of a special token; Kimi's have 29
# Code points that are no characters (Unicode 16, section 23.7), and a private area in case a text holds all of these.
MARKS = (*map(chr, range(0xFDD0, 0xFDF0)), *map(chr, range(0xF0000, 0xFFFFE)))


def render_chat(
    messages: Iterable[Mapping[str, Any]],
    tools: Iterable[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    template: str | None = None,
    **template_kwargs: object,
) -> str:
    """The text that the template makes of a conversation, its tool call ids renamed; a null reasoning or a missing id
    prints as the template prints it. template: Jinja source, Kimi K2 Thinking's own by default. RequestError: a message
    or a tool is malformed; TemplateError: the template fails, or does more work than a template has reason to."""
    messages = normalise_messages(messages, mend=False)
    variables = chat_variables(messages, tools, add_generation_prompt, template_kwargs)
    return render_template(kimi_template() if template is None else template, variables)


def encode_chat(
    messages: Iterable[Mapping[str, Any]],
    tokenizer: Tokenizer,
    tools: Iterable[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    template: str | None = None,
    template_kwargs: Mapping[str, object] | None = None,
) -> list[int]:
    """Ids of a conversation for the model to answer: those of render_chat's text, except that a special token spelled
    in what the caller gave (messages, tools, template_kwargs) stays ordinary text, and that the messages are mended
    first (normalise_messages). Errors as render_chat."""
    template = kimi_template() if template is None else template
    variables = chat_variables(normalise_messages(messages), tools, add_generation_prompt, template_kwargs or {})
    pieces = rendered_pieces(template, variables, tokenizer)
    return list(chain.from_iterable(ids_of_pieces(pieces, tokenizer)))


def rendered_pieces(template: str, variables: Mapping[str, object], tokenizer: Tokenizer) -> list[str]:
    """The template's text for a chat, cut at the special tokens that the template writes, which stand at odd places:
    ordinary text (perhaps none), a special token, ordinary text, … TemplateError: as render_chat."""
    mark = _unused_mark([template, *_strings(variables)])
    starts = re.compile("[" + "".join(re.escape(c) for c in sorted({t[0] for t in tokenizer.special_tokens})) + "]")
    rendered = render_template(template, _marked(variables, starts, rf"\g<0>{mark}"), mark)
    special = _special_pattern(tuple(tokenizer.special_tokens), mark)
    return [piece.replace(mark, "") for piece in _split(special, rendered)]


def ids_of_pieces(pieces: Sequence[str], tokenizer: Tokenizer, before: Before = NOTHING_BEFORE) -> Iterator[list[int]]:
    """The ids of each piece, as rendered_pieces cuts them. before: the text before them ends with a special token.

    Long texts are cut into parts where Tokenizer.encode cuts them, which counts the special tokens' characters too; but
    here a cut never splits a special token. A part depends on what stands before it and on nothing behind it, and none
    goes on behind a multiple of MAX_ENCODE_CHARS.
    """
    text = "".join(pieces)
    cuts = list(accumulate(map(len, parts(text, before))))
    start = 0
    for i, piece in enumerate(pieces):
        end = start + len(piece)
        if i % 2:
            yield [tokenizer.special_tokens[piece]]
        else:
            inner = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
            yield [i for a, b in pairwise((start, *inner, end)) for i in tokenizer.encode(text[a:b], special=False)]
        start = end


def render_template(template: str, variables: Mapping[str, object], mark: str = "") -> str:
    """The template's text for variables as they are, called as transformers calls it. mark: a character that goes
    through the template unchanged. TemplateError: as render_chat."""
    try:
        with budget_for(dict(variables), mark):
            return compile_template(template).render(variables)
    except (Exhausted, MemoryError) as error:
        raise TemplateError("The chat template was stopped: it loops or grows without end. Use another one.") from error
    except RecursionError as error:
        raise TemplateError("The chat template is nested too deeply. Use another one.") from error
    except JinjaError as error:
        raise TemplateError(f"The chat template cannot render this conversation: {error}") from error
    except Exception as error:  # whatever a template's expressions raise, such as TypeError
        raise TemplateError(f"The chat template cannot render this conversation: {error!r}.") from error


@cache
def kimi_template() -> str:
    """Kimi K2 Thinking's chat_template.jinja."""
    return (files("kimi_cpu") / "data" / "chat_template.jinja").read_text("utf-8")


def chat_variables(
    messages: list[dict[str, Any]],
    tools: Iterable[Mapping[str, Any]] | None,
    add_generation_prompt: bool,
    template_kwargs: Mapping[str, object],
) -> dict[str, Any]:
    """The variables of a template. RequestError: template_kwargs has one that the renderer gives."""
    taken = next((name for name in template_kwargs if name in RENDERER), None)
    if taken is not None:
        where = f"chat_template_kwargs.{taken}"
        raise RequestError(
            f"{where} is not the caller's to give: it comes with the request itself. Leave it out.", where
        )
    given = {"messages": messages, "tools": normalise_tools(tools), "documents": None}
    return given | {"add_generation_prompt": bool(add_generation_prompt), **template_kwargs}


def _strings(value: object) -> Iterator[str]:
    """Every string in nested lists and dictionaries, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in chain(value, value.values()):
            yield from _strings(item)


def _unused_mark(texts: list[str]) -> str:
    """A character that none of the texts holds."""
    return next(mark for mark in MARKS if not any(mark in text for text in texts))


def _marked(value: object, starts: re.Pattern[str], replacement: str) -> Any:
    """The value with a mark after every character that could begin a special token, in all strings and keys."""
    if isinstance(value, str):
        cut = (value[at : at + PART] for at in range(0, len(value), PART))
        return "".join(starts.sub(replacement, part) for part in cut)
    if isinstance(value, list | tuple):
        return [_marked(item, starts, replacement) for item in value]
    if isinstance(value, dict):
        return {_marked(k, starts, replacement): _marked(v, starts, replacement) for k, v in value.items()}
    return value


@lru_cache(maxsize=8)
def _special_pattern(names: tuple[str, ...], mark: str) -> re.Pattern[str]:
    """A pattern of special tokens, the longest where several begin, unless a mark follows their first character. They
    are grouped by that character, so that the search steps over all others."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=len, reverse=True):
        groups.setdefault(name[0], []).append(re.escape(name[1:]))
    return re.compile("(" + "|".join(f"{re.escape(c)}(?!{mark})(?:{'|'.join(g)})" for c, g in groups.items()) + ")")


def _split(special: re.Pattern[str], text: str) -> Iterator[str]:
    """special.split(text) in several steps, as one search of a long text would hold up all other threads."""
    begun, at = 0, 0
    while at < len(text):
        match = special.search(text, at, at + PART + MAX_SPECIAL)
        if match is None or match.start() >= at + PART:  # the end of the part may cut it short
            at += PART
            continue
        yield text[begun : match.start()]
        yield match[0]
        begun = at = match.end()
    yield text[begun:]
