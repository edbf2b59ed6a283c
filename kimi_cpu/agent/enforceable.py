"""Tools of other programs, whose schemas may be anything."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..chat import Enforcer
from ..errors import KimiError
from .tool import Tool

if TYPE_CHECKING:
    from ..llm import TextModel

ANYTHING = {"type": "object"}


def enforceable(llm: "TextModel", tool: Tool, notice: Callable[[str], None]) -> Tool:
    """The tool, without its schema where that would have every turn refused. notice: is told so."""
    declared = [tool.declaration()]
    try:
        llm.chat_ids([{"role": "user", "content": ""}], declared)
        Enforcer(llm.tokenizer, declared, "required")
    except KimiError as e:
        notice(f"the arguments of {tool.name} are not held to its schema: {e}")
        return replace(tool, parameters=ANYTHING)
    return tool
