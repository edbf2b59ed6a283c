"""Held-out scores by the engine: every question goes through kimi_cpu's own API, tools included, greedily."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from kimi_cpu import LLM

from .curriculum import Example, held_out
from .rendering import spans

COUNTS = {  # task -> held-out questions of the full measurement
    "arithmetic": 200,
    "long_sum": 100,
    "quotient": 6,
    "sums": 100,
    "compare": 50,
    "name": 50,
    "told": 50,
    "lookup": 200,
    "lookup_1000": 50,
    "lookup_4000": 25,
    "again": 50,
    "absent": 50,
    "noted": 100,
    "everyday": 100,
    "papers": 100,
    "copy": 50,
    "declined": 100,
    "too_hard": 50,
    "date": 100,
    "weather": 100,
    "parallel": 50,
    "search": 100,
    "named": 100,
    "chain3": 100,
    "chain10": 40,
    "news": 60,
    "agent_date": 50,
    "calculator": 50,
}
PROSE_DOCUMENTS = 40
MAX_TOKENS = 600
AT_ONCE = 16  # questions; their answers do not depend on the company


def is_solved(llm: LLM, example: Example) -> bool:
    """Whether every call of the conversation is the expected one and the last turn holds the answer. The model sees
    its own earlier turns, and the tools' results that the example has."""
    messages: list[dict] = []
    ids: list[str] = []  # of calls whose results are still to come
    for expected in example.messages:
        if expected["role"] == "tool":
            messages.append(expected | {"tool_call_id": ids.pop(0)})
        elif expected["role"] != "assistant" or "reasoning_content" not in expected:
            messages.append(expected)
        else:
            turn = llm.chat(messages, tools=example.tools, temperature=0, max_tokens=MAX_TOKENS)
            is_whole = turn.finish_reason != "length" and turn.stop_reason is None
            if not is_whole or _calls(turn.tool_calls) != _calls(expected.get("tool_calls", ())):
                return False
            ids = [call["id"] for call in turn.tool_calls]
            messages.append(turn.message())
    return all(answer in (messages[-1]["content"] or "") for answer in example.answers)


def _calls(calls) -> list[tuple[str, dict]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def score(llm: LLM, task: str, count: int) -> tuple[float, int]:
    """(the share of a task's held-out examples that is solved, how many there were): at most count of them."""
    examples = held_out(task, count)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(partial(is_solved, llm), examples)) / len(examples), len(examples)


@dataclass
class Agreement:
    """How two runs of one file differ on the same texts."""

    perplexity: float
    perplexity_f32: float
    mean_kl: float
    same_choice: float


def prose_ids(llm: LLM, count: int = PROSE_DOCUMENTS) -> list[list[int]]:
    """Held-out stories as ids."""
    return [llm.tokenize("".join(text for text, _ in spans(example))) for example in held_out("prose", count)]


def agreement(llm: LLM, f32: LLM, texts: list[list[int]]) -> Agreement:
    """int8 activations against float32, over texts of ids."""
    losses, losses_f32, kl, same = [], [], [], []
    for ids in texts:
        p, q = (_log_softmax(model.logits(ids)) for model in (f32, llm))
        targets = np.arange(len(ids) - 1), np.array(ids[1:])
        losses_f32.append(-p[targets])
        losses.append(-q[targets])
        kl.append((np.exp(p) * (p - q)).sum(-1))
        same.append(p.argmax(-1) == q.argmax(-1))
    means = [float(np.concatenate(x).mean()) for x in (losses, losses_f32, kl, same)]
    return Agreement(math.exp(means[0]), math.exp(means[1]), means[2], means[3])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))
