"""One conversation of the curriculum, and the split that keeps tests out of the training set."""

import hashlib
import json
import random
from dataclasses import dataclass

TEST_SHARE = 16  # one key in so many is held out
NOT_TESTED = {"drill", "several", "echo", "small_talk", "plan"}  # tasks that only help the others


@dataclass
class Example:
    """task: its name; key: what makes it this question and no other; messages: the conversation with the assistant's
    turns, the last one too; tools: declared, OpenAI's shape; answers: what the last turn must hold."""

    task: str
    key: str
    messages: list[dict]
    tools: list[dict] | None = None
    answers: tuple[str, ...] = ()

    @property
    def is_test(self) -> bool:
        """Whether the question is held out. The key alone decides, so that every generator agrees."""
        if self.task in NOT_TESTED:
            return False
        digest = hashlib.blake2b(f"{self.task}|{self.key}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") % TEST_SHARE == 0


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def says(reasoning: str, content: str) -> dict:
    """An assistant's turn without calls."""
    return {"role": "assistant", "reasoning_content": reasoning, "content": content}


def said(content: str) -> dict:
    """An assistant's turn before the last one, of which the template shows no thinking."""
    return {"role": "assistant", "content": content}


class Calls:
    """Numbers the calls of one conversation, as Kimi K2 does."""

    def __init__(self):
        self.count = 0

    def turn(self, reasoning: str, *calls: tuple[str, dict]) -> dict:
        """An assistant's turn that calls (name, arguments) in one section."""
        out = []
        for name, arguments in calls:
            function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
            out.append({"id": f"functions.{name}:{self.count}", "type": "function", "function": function})
            self.count += 1
        return {"role": "assistant", "reasoning_content": reasoning, "content": "", "tool_calls": out}


def results(turn: dict, *contents: str) -> list[dict]:
    """The tools' answers to the calls of a turn, in order."""
    pairs = zip(turn["tool_calls"], contents, strict=True)
    return [{"role": "tool", "tool_call_id": call["id"], "content": content} for call, content in pairs]


def cap(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def series(items: list[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def pick(rng: random.Random, *options):
    return options[rng.randrange(len(options))]
