"""Answers 200 requests of every kind with the bundled model and writes what came, to be compared between two commits.

    python tools/same_tokens.py record FILE [-m MODEL]     in each checkout
    python tools/same_tokens.py compare ONE OTHER

A change that is to keep every token is tried with this: texts, ids, log-probabilities and ends of answers must be the
same to the letter, alone and in company, in all ways to load a model.
"""

import argparse
import json
import random
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import kimi_cpu

WAYS = {  # to load the model: how many requests of the list run so
    "plain": ({}, 110),
    "small steps": ({"chunk": 16, "parallel": 3}, 20),
    "int8 cache": ({"kv": "int8"}, 20),
    "float": ({"compute": "f32", "kv": "f32"}, 20),
    "few pages": ({"context": 1024, "cache_memory": "1MiB", "parallel": 8}, 15),
    "no drafts": ({"speculate": False, "read_ahead": False, "threads": 1}, 15),
}
QUESTIONS = (
    "What is 17 + 25?",
    "What is the capital of France?",
    "Tell me a story about a cat.",
    "How many letters has the word apple?",
    "What is the weather in Paris and in Rome?",
    "Say hello to Anna.",
    "My name is Tom. What is my name?",
    "Write the word tree three times.",
    "What is 9 * 8?",
    "Who are you?",
)
BEGINNINGS = (
    "Once upon a time",
    "The capital of",
    "1, 2, 3, 4,",
    "def add(a, b):",
    "ABC ABC ABC ABC",
    "In the morning the",
)
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city"],
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"enum": ["small", "large"]}, "n": {"type": "integer"}},
    "required": ["name", "size", "n"],
    "additionalProperties": False,
}


def requests(seed: int, count: int) -> list[tuple[object, dict]]:
    """(prompt, options) of so many requests, the same ones for the same seed."""
    draw = random.Random(seed)
    return [_request(draw, draw.choice(_KINDS)) for _ in range(count)]


def _request(draw: random.Random, kind: str) -> tuple[object, dict]:
    options: dict = {"max_tokens": draw.choice((8, 40, 96))}
    if draw.random() < 0.5:
        options |= {"temperature": 0.0}
    else:
        options |= {"temperature": draw.choice((0.6, 1.0, 1.4)), "seed": draw.randrange(10**6)}
        options |= draw.choice(({}, {"top_k": 20}, {"top_p": 0.9}, {"min_p": 0.05}, {"top_k": 50, "top_p": 0.8}))
    options |= draw.choice(({}, {}, {"repeat_penalty": 1.2}, {"presence_penalty": 0.5, "frequency_penalty": 0.3}))
    options |= draw.choice(({}, {}, {"logprobs": 3}, {"stop": ["."]}, {"ignore_eos": True}))
    question = draw.choice(QUESTIONS)
    match kind:
        case "raw":
            return draw.choice(BEGINNINGS), options
        case "long":
            words = " ".join(f"{draw.randrange(1000)}" for _ in range(draw.choice((60, 150, 300))))
            return f"{draw.choice(BEGINNINGS)} {words}", options
        case "chat":
            return [{"role": "user", "content": question}], options
        case "talk":
            turns = [question, "It is 42.", draw.choice(QUESTIONS)]
            roles = ("user", "assistant", "user")
            messages = [{"role": r, "content": c} for r, c in zip(roles, turns, strict=True)]
            return [{"role": "system", "content": "Be short."}, *messages], options
        case "no_think":
            return [{"role": "user", "content": question}], options | {"no_think": True}
        case "budget":
            return [{"role": "user", "content": question}], options | {"think_budget": draw.choice((0, 5, 20))}
        case "tools":
            choice = draw.choice(("auto", "required", {"type": "function", "function": {"name": "get_weather"}}))
            return [{"role": "user", "content": question}], options | {"tools": [TOOL], "tool_choice": choice}
        case _:
            form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA}}
            options = {k: v for k, v in options.items() if k not in ("stop", "ignore_eos")} | {"max_tokens": 160}
            return [{"role": "user", "content": question}], options | {"response_format": form, "no_think": True}


_KINDS = ("raw", "raw", "long", "chat", "chat", "talk", "no_think", "budget", "tools", "tools", "schema")


def answer(result) -> dict:
    """What must be the same of an answer."""
    values = asdict(result)
    values.pop("timings")
    usage = values.pop("usage")
    return json.loads(json.dumps(values | {"tokens": [usage["prompt_tokens"], usage["completion_tokens"]]}))


def record(model: Path | None) -> list[dict]:
    """Answers of all requests, in order: half of them one by one, half all at once."""
    answers = []
    for number, (name, (loading, count)) in enumerate(WAYS.items()):
        with kimi_cpu.load(model, **loading) as llm:
            asked = requests(number, count)
            results = [llm.submit(prompt, **options).result() for prompt, options in asked[: count // 2]]
            handles = [llm.submit(prompt, **options) for prompt, options in asked[count // 2 :]]
            results += [handle.result() for handle in handles]
        answers += [{"way": name} | answer(result) for result in results]
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("-m", "--model", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    options = parser.parse_args()
    if options.command == "record":
        answers = record(options.model)
        options.file.write_text(json.dumps(answers, indent=1))
        print(f"{len(answers)} answers, {sum(len(a['token_ids']) for a in answers)} tokens")
        print(Counter(a["finish_reason"] for a in answers))
        return
    one, other = (json.loads(path.read_text()) for path in (options.one, options.other))
    differing = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    print(f"{len(one)} answers, {len(differing)} differ: {differing[:20]}")
    if differing:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
