"""One question of the examination: what is said, which tools there are, and what makes an answer right."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Turn:
    """What a stranger says, and what makes the answer to it right.

    right: patterns (of re, in either case) that must all be found in it; none: only a decline will do. wrong: patterns
    of which none may be found. may_decline: a decline will do. is_story: the answer is to be a story. from_text: it has
    no number that was not said. calls: those (name, arguments) that must be made before the answer, in any order, and
    no others; None: any.
    """

    text: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    may_decline: bool = False
    is_story: bool = False
    from_text: bool = False
    calls: tuple[tuple[str, Mapping[str, Any]], ...] | None = None


@dataclass(frozen=True)
class Tool:
    """A tool as it is declared (OpenAI's shape), and what it returns. LookupError, ValueError: arguments that no right
    call has."""

    declaration: dict[str, Any]
    call: Callable[[dict[str, Any]], str] = field(compare=False)

    @property
    def name(self) -> str:
        return self.declaration["function"]["name"]


@dataclass(frozen=True)
class Question:
    """A conversation of one or more turns; it is answered as well as its worst turn."""

    kind: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()

    @property
    def said(self) -> str:
        """What the stranger says, a line a turn."""
        return "\n".join(turn.text for turn in self.turns)


def number(value: int) -> str:
    """The pattern of an answer whose last number is this one."""
    sign = r"(?<![\w.,])-\s?" if value < 0 else r"(?<![-\w.,])"
    return rf"{sign}{abs(value)}(?![.,]?\d)(?![\s\S]*\d)"


def word(text: str) -> str:
    """The pattern of an answer in which these words stand as they are."""
    return rf"(?<!\w){text}(?!\w)"


def declined(kind: str, *texts: str) -> list[Question]:
    """Questions that can only be declined."""
    return [Question(kind, (Turn(text, may_decline=True),)) for text in texts]


def arguments_key(arguments: Mapping[str, Any]) -> str:
    """Arguments as a text that does not depend on their order, nor on the case of what they say."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False).lower()
