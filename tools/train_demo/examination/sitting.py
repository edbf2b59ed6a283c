"""A model sits the examination as strangers would give it: with the file's own defaults, and a seed a question."""

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kimi_cpu import LLM

from . import beyond, calling, lookups, stories_asked, sums, talk
from .judge import Verdict, judge, trained_words
from .question import Question, Turn, arguments_key

KINDS = {  # kind -> what the questions are
    "look-ups": "a question over a text of one's own",
    "look-ups, absent": "one that the text does not answer",
    "follow-ups": "a question that goes on from the answer before",
    "names": "a name that was told is asked for",
    "sums": "sums and differences of numbers of up to three digits, stories too",
    "products": "of two digits between 2 and 9",
    "quotients": "that are whole",
    "compare": "which of two numbers is larger or smaller",
    "tools, one city": "get_weather, and an answer from its result",
    "tools, two cities": "two calls, and an answer from both results",
    "agent's tools": "get_date and calculator as `kimi-cpu agent` offers them",
    "stories": "without a broken word",
    "greetings": "hello, thanks, goodbye",
    "about the model": "what it is, and what it can do",
    "nothing asked": "test, ?, asdf",
    "too hard sums": "longer numbers, fractions, roots",
    "letters and order": "sorting, spelling, counting",
    "world knowledge": "capitals, people, science",
    "code": "programs",
    "languages": "translations, and questions in other languages",
    "opinions and jokes": "what it thinks and likes",
    "writing and advice": "poems, letters, recipes, health",
    "here and now": "the time and the weather without a tool",
}
MAX_TOKENS = 600
MOST_TURNS = 6  # of the model for one message
AT_ONCE = 16  # questions; their answers do not depend on the company


@dataclass(frozen=True)
class Result:
    """A question, what the model said to each of its turns, and how good that is."""

    question: Question
    answers: tuple[str, ...]
    verdict: Verdict


def questions() -> list[Question]:
    """All questions, always the same."""
    rooms = (lookups, talk, sums, calling, stories_asked, beyond)
    return [question for room in rooms for question in room.questions()]


def sit(llm: LLM, asked: Iterable[Question]) -> list[Result]:
    """The results of questions, in order."""
    trained_words()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: _answered(llm, pair[1], seed=pair[0]), enumerate(asked)))


def by_kind(results: Iterable[Result]) -> dict[str, dict[Verdict, int]]:
    """kind -> how many results of each verdict there are, in the order of KINDS."""
    counts = {kind: Counter[Verdict]() for kind in KINDS}
    for result in results:
        counts[result.question.kind][result.verdict] += 1
    return {kind: {verdict: found[verdict] for verdict in Verdict} for kind, found in counts.items() if found}


def _answered(llm: LLM, question: Question, seed: int) -> Result:
    messages: list[dict[str, Any]] = []
    answers, verdicts = [], []
    for turn in question.turns:
        messages.append({"role": "user", "content": turn.text})
        answer, verdict = _turn(llm, question, turn, messages, seed)
        answers.append(answer)
        verdicts.append(verdict)
    return Result(question, tuple(answers), max(verdicts, key=list(Verdict).index))


def _turn(llm: LLM, question: Question, turn: Turn, messages: list[dict[str, Any]], seed: int) -> tuple[str, Verdict]:
    """The answer to a turn, after the calls that it takes, which are added to messages; and the verdict."""
    tools = {tool.name: tool for tool in question.tools}
    declared = [tool.declaration for tool in question.tools] or None
    made: list[tuple[str, str]] = []
    for _ in range(MOST_TURNS):
        said = llm.chat(messages, tools=declared, max_tokens=MAX_TOKENS, seed=seed)
        messages.append(said.message())
        if said.finish_reason == "length" or said.stop_reason == "repetition":
            return said.content or "", Verdict.WRONG
        if not said.tool_calls:
            return said.content or "", _verdict(turn, said.content or "", messages, made)
        for call in said.tool_calls:
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            made.append((name, arguments_key(arguments)))
            try:
                result = tools[name].call(arguments)
            except Exception as e:  # as an agent tells the model of it
                result = f"Error: {e}"
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    return "", Verdict.WRONG


def _verdict(turn: Turn, answer: str, messages: list[dict[str, Any]], made: list[tuple[str, str]]) -> Verdict:
    if turn.calls is not None and sorted(made) != sorted((name, arguments_key(given)) for name, given in turn.calls):
        return Verdict.WRONG
    said = "\n".join(str(m["content"] or "") for m in messages if m["role"] in ("user", "tool"))
    return judge(turn, answer, said, trained_words())
