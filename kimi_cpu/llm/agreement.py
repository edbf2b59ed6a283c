"""Agreement of several trajectories: their final answers, brought to one form, are votes; and the message that has the
model reflect on them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal

BOXED = "\\boxed{"
SAID = re.compile(r"\banswer\s*(?:is|was|:|=)[\s:]*(.+?)(?=[.!?](?:\s|$)|\n|$)", re.IGNORECASE)  # one sentence
FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
WORD_OF_LATEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf|left|right|displaystyle)\b")
LINE_MARK = re.compile(r"^\s*(?:#+|[-*+•>])\s+", re.MULTILINE)  # of headings, lists and quotations
MARKS = str.maketrans(dict.fromkeys("$*`_~{}\\", " ") | dict.fromkeys("\u2212\u2013\u2011", "-"))  # minus, dashes
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")
SIGN = re.compile(r"-\s?(?=\d)")
WITHIN = re.compile(r"(?<=\d)[./:](?=\d)|-(?=\d)|[%#]")  # punctuation that counts
REFLECT = """\
Here are the final answers of {num} independent attempts at this, each with the number of attempts that gave it:

{answers}

Reflect on them. Where they differ, find out which is right: what most of them say may be wrong, too. Then give the \
final answer to my question, in the form in which I asked for it, and do not mention the attempts."""


def final_answer(text: str) -> str:
    """The part of an answer that counts: what is in its last \\boxed{}, or behind its last "the answer is", or else all
    of it."""
    if (boxed := _boxed(text)) is not None:
        return boxed.strip()
    said = SAID.findall(text)
    return (said[-1] if said else text).strip()


def normalised(text: str) -> str:
    """A final answer in the form in which equal ones are equal: without case, marks of Markdown and LaTeX, spaces more
    than one, and punctuation outside of numbers; 1,000.50 is 1000.5."""
    text = FRACTION.sub(r"\1/\2", LINE_MARK.sub("", text))
    text = WORD_OF_LATEX.sub(" ", text).translate(MARKS)
    text = SIGN.sub("-", unicodedata.normalize("NFKC", text).casefold())
    text = THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    text = DECIMAL.sub(lambda number: f"{Decimal(number[0]).normalize():f}", text)
    kept = {match.start() for match in WITHIN.finditer(text)}
    left = (" " if unicodedata.category(c)[0] == "P" and i not in kept else c for i, c in enumerate(text))
    words = "".join(left).split()
    return " ".join(words) or " ".join(text.split())


class Votes:
    """A vote of several trajectories, of which each gives one answer or none, in the order in which they end."""

    def __init__(self, num_voters: int):
        self._num_open = num_voters
        self._counts: dict[str, int] = {}

    def add(self, answer: str | None) -> None:
        """One more has ended, with a normalised answer or without one."""
        self._num_open -= 1
        if answer is not None:
            self._counts[answer] = self._counts.get(answer, 0) + 1

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Answers and how many gave each, the most frequent first, and of equal ones the one that came first."""
        return sorted(self._counts.items(), key=lambda item: -item[1])

    @property
    def is_decided(self) -> bool:
        """Whether those that have not ended can change nothing about which answer comes first."""
        first, second = [*(count for _, count in self.counts), 0, 0][:2]
        return not self._num_open or first > second + self._num_open


def reflection(num: int, answers: Iterable[tuple[str, int]]) -> str:
    """The message that has the model reflect on the outcomes of num attempts. answers: texts, and how many gave
    each."""
    told = "\n\n".join(f"[{count} of {num}]\n{text.strip()}" for text, count in answers)
    return REFLECT.format(num=num, answers=told)


def settles(text: str, counts: Sequence[tuple[str, int]]) -> bool:
    """Whether an answer can stand for the votes: where at least two of them agree, it says one of the answers that were
    given."""
    if not counts or counts[0][1] < 2:
        return True
    said, whole = normalised(final_answer(text)), f" {normalised(text)} "
    return any(answer == said or f" {answer} " in whole for answer, _ in counts)


def _boxed(text: str) -> str | None:
    """What is in the last \\boxed{}, whose braces may hold others; None where there is none."""
    start = text.rfind(BOXED)
    if start < 0:
        return None
    start, depth = start + len(BOXED), 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if not depth:
            return text[start:at]
    return None
