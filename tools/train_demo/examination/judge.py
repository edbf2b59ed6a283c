"""Judges one answer: right, rightly declined, or wrong."""

import re
from collections.abc import Collection
from enum import StrEnum
from functools import cache

from ..curriculum import make
from .question import Turn


class Verdict(StrEnum):
    RIGHT = "right"
    DECLINED = "rightly declined"
    WRONG = "wrong"


# A sentence of a decline says that it cannot be done, or what can be done instead.
DECLINES = re.compile(
    r"\bI (cannot|can't|can not|am not able to|have no|could not)\b|\b(do not|don't) know\b|\bI am too small\b"
    r"|\b(too (hard|long|large|big|difficult|much)|not something) (for me|I)\b|\bbeyond (me|what I can do)\b"
    r"|\b(text|it) (does not|doesn't) (say|tell|mention)\b|\b(text|it) says nothing\b",
    re.IGNORECASE,
)
OFFERS = re.compile(
    r"^(but |so )?I can\b|^(but )?(please )?(ask|try|tell|give)( me)?\b|\bfor real answers\b|\bfull Kimi K2\b"
    r"|\bI am (only )?an? (very |much )?(small|tiny|little)\b|^(I am )?sorry\b|^(hello|hi)\b|\bhow can I help\b",
    re.IGNORECASE,
)
# Names and numbers are answers, and so is what follows such words.
KNOWN_NAMES = re.compile(r"\b(Kimi( K2)?|I|CPU)\b")
ANSWERS = re.compile(r"\d|(?<=[a-z,;:] )[A-Z]|\b(the answer is|but it is|I think|maybe|perhaps|because)\b")
WORD = re.compile(r"\b[A-Za-z]+(?:'[a-z]+)?\b")
NUMBER = re.compile(r"\d+")
MOST_SENTENCES = 3  # of a decline
STORY_WORDS = 40  # at least
SENTENCE_END = re.compile(r"[.!?][\"']?$")


def judge(turn: Turn, answer: str, said: str, vocabulary: Collection[str]) -> Verdict:
    """The verdict on the last answer to a turn. said: the conversation until then with the tools' results, whose words
    the answer may use; vocabulary: words, small, that are whole."""
    is_right = bool(turn.right or turn.is_story) and all(_found(pattern, answer) for pattern in turn.right)
    is_invented = turn.from_text and not set(NUMBER.findall(answer)) <= set(NUMBER.findall(said))
    if is_invented or any(_found(p, answer) for p in turn.wrong) or broken_words(answer, said, vocabulary):
        return Verdict.WRONG
    if is_right and (not turn.is_story or _is_whole_story(answer)):
        return Verdict.RIGHT
    return Verdict.DECLINED if turn.may_decline and is_decline(answer) else Verdict.WRONG


def is_decline(answer: str) -> bool:
    """Whether an answer declines politely, and says nothing that could pass for an answer."""
    sentences = [s for s in re.split(r"(?<=[.!?:;])\s+", answer.strip()) if s]
    bare = [KNOWN_NAMES.sub("", s) for s in sentences]
    return (
        0 < len(sentences) <= MOST_SENTENCES
        and any(DECLINES.search(s) for s in sentences)
        and all(DECLINES.search(s) or OFFERS.search(s) for s in sentences)
        and not any(ANSWERS.search(s) for s in bare)
    )


def broken_words(answer: str, said: str, vocabulary: Collection[str]) -> list[str]:
    """Words of an answer that neither the vocabulary has nor anybody has said."""
    heard = {w.lower() for w in WORD.findall(said)}
    words = (w.lower() for w in WORD.findall(answer))
    return [w for w in words if not any(x in heard or x in vocabulary for x in (w, w.removesuffix("'s")))]


@cache
def trained_words(count: int = 6000) -> frozenset[str]:
    """The words of the curriculum, small: those that two of its examples have, so that a name which was made up for one
    of them is none, and no single letters but a and I."""
    once: set[str] = set()
    twice: set[str] = set()
    for example in make("short", 0, count):
        written = (m["content"] for m in example.messages if m["role"] in ("user", "assistant", "text"))
        words = {w.lower() for text in written for w in WORD.findall(text)}
        twice |= words & once
        once |= words
    return frozenset(w for w in twice if len(w) > 1 or w in ("a", "i"))


def _found(pattern: str, answer: str) -> bool:
    return re.search(pattern, answer, re.IGNORECASE) is not None


def _is_whole_story(answer: str) -> bool:
    return len(answer.split()) >= STORY_WORDS and SENTENCE_END.search(answer.strip()) is not None
