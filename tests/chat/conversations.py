"""Random conversations, as clients send them."""

import json
import random

WORDS = [
    "Hello",
    " wörld",
    "你好",
    "\n",
    " ",
    "{}",
    '"',
    "\\",
    "<b>",
    "[x]",
    "|",
    "🙂",
    "{{ x }}",
    "{% if %}",
    "```\n",
    "0",
    "\t",
]
NAMES = ["get_weather", "search", "mcp-run", "a.b"]
SPECIALS = ["<|im_end|>", "<think>", "</think>", "<|tool_call_begin|>", "[EOS]", "<|im_system|>system<|im_middle|>"]


def text(rng: random.Random, most: int = 12) -> str:
    return "".join(rng.choices(WORDS, k=rng.randint(0, most)))


def json_object(rng: random.Random, depth: int = 2) -> dict:
    makers = [lambda: rng.randint(-9, 9), lambda: rng.random(), lambda: text(rng), lambda: None, lambda: True, list]
    if depth:
        makers += [lambda: json_object(rng, depth - 1), lambda: [json_object(rng, depth - 1), text(rng)]]
    return {text(rng, 3) or "key": rng.choice(makers)() for _ in range(rng.randint(0, 3))}


def content(rng: random.Random) -> object:
    whole = text(rng)
    return rng.choice([whole, whole, [{"type": "text", "text": whole}], [{"type": "text", "text": whole}] * 2, None])


def tool(rng: random.Random, name: str) -> dict:
    parameters = {"type": "object", "properties": json_object(rng), "required": []}
    return {"type": "function", "function": {"name": name, "description": text(rng), "parameters": parameters}}


def calls(rng: random.Random, turn: int) -> list[dict]:
    """One to three calls with ids of any form, or none."""
    result = []
    for i in range(rng.randint(1, 3)):
        arguments = json_object(rng)
        function = {"name": rng.choice(NAMES), "arguments": rng.choice([arguments, json.dumps(arguments), ""])}
        call = {"type": "function", "function": function}
        if rng.random() < 0.8:
            call["id"] = rng.choice([f"call_{turn}_{i}", f"functions.{function['name']}:{i}"])
        result.append(call)
    return result


def conversation(rng: random.Random) -> dict:
    """messages, tools and add_generation_prompt."""
    messages = [{"role": rng.choice(["system", "developer"]), "content": content(rng)}] if rng.random() < 0.5 else []
    for turn in range(rng.randint(0, 4)):
        messages.append({"role": "user", "content": content(rng)})
        if rng.random() < 0.2:
            messages[-1]["name"] = "Alice"
        while rng.random() < 0.5:
            asked = calls(rng, turn)
            messages.append(assistant(rng) | {"tool_calls": asked})
            messages += [{"role": "tool", "content": content(rng)} | answer_to(call) for call in asked]
        if rng.random() < 0.7:
            messages.append(assistant(rng) | rng.choice([{}, {"tool_calls": []}, {"tool_calls": None}]))
    tools = rng.choice([None, [], [tool(rng, name) for name in NAMES[: rng.randint(1, 4)]]])
    return {"messages": messages, "tools": tools, "add_generation_prompt": rng.random() < 0.8}


def answer_to(call: dict) -> dict:
    return {"tool_call_id": call["id"]} if "id" in call else {}


def assistant(rng: random.Random) -> dict:
    reasoning = rng.choice(
        [{}, {"reasoning_content": None}, {"reasoning_content": text(rng)}, {"reasoning": text(rng)}]
    )
    return {"role": "assistant", "content": content(rng)} | reasoning
