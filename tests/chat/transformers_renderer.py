"""The oracle: a chat template rendered as transformers renders it."""

import json
from datetime import datetime

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def render(template: str, messages: list[dict], tools: list[dict] | None, add_generation_prompt: bool) -> str:
    """transformers' own code where it is installed, else an environment set up as its code does."""
    variables = {"tools": tools, "documents": None, "add_generation_prompt": add_generation_prompt}
    try:
        from transformers.utils.chat_template_utils import _compile_jinja_template
    except ImportError:
        return environment().from_string(template).render(messages=messages, **variables)
    return _compile_jinja_template(template).render(messages=messages, **variables)


def environment() -> ImmutableSandboxedEnvironment:
    """Source: transformers/utils/chat_template_utils.py."""
    result = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    result.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return result


def raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)
