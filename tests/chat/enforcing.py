"""What the tests of the enforcer share: a stub that wants anything but the end, and a writer that wants a text."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np

from kimi_cpu.tokenizer import Tokenizer

MAX_CALL_TOKENS = 4096
CALL = re.compile(
    r"<\|tool_call_begin\|>functions\.([\w.-]+):(\d+)<\|tool_call_argument_begin\|>(.*?)<\|tool_call_end\|>", re.DOTALL
)
WISHES = [  # bytes that a token must be made of for the stub to prefer it; none: every token is as good
    b"",
    b'{}[]",: ',
    b"0123456789.eE+-,",
    b"[{",
    b' \n\t,"',
    b'"}],:aeinrst',
]
MARKERS = {
    "section": "<|tool_calls_section_begin|>",
    "section_end": "<|tool_calls_section_end|>",
    "call": "<|tool_call_begin|>",
    "arguments": "<|tool_call_argument_begin|>",
    "call_end": "<|tool_call_end|>",
    "think": "<think>",
    "think_end": "</think>",
    "end": "<|im_end|>",
}


KIMI = Tokenizer.load(Path(__file__).parents[1] / "data" / "tiktoken.model")
IDS = {name: KIMI.special_tokens[text] for name, text in MARKERS.items()}
ALL_IDS = set(range(KIMI.n_vocab))
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city"],
    "additionalProperties": False,
}


def tool(schema, name="act"):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def draw(mask, preferred, rng):
    """The best of random logits under a mask, of the preferred tokens nine times in ten."""
    if len(preferred) and rng.random() < 0.9:
        allowed = preferred[mask[preferred]]
        if len(allowed):
            return int(rng.choice(allowed))
    for token_id in rng.integers(0, len(mask), 32):
        if mask[token_id]:
            return int(token_id)
    return int(rng.choice(np.flatnonzero(mask)))


def generate(enforcer, choose, limit=MAX_CALL_TOKENS):
    """Ids up to the end token, which is among them; AssertionError: none within the limit."""
    ids = []
    while len(ids) < limit:
        mask, forced = enforcer.mask(), enforcer.forced()
        assert mask.any()
        assert forced is None or mask[forced]
        ids.append(choose(mask) if forced is None else forced)
        enforcer.accept(ids[-1])
        if ids[-1] in KIMI.eos_ids:
            return ids
    raise AssertionError(f"cut off: {KIMI.decode(ids[-100:])!r}")


def check_calls(ids, schema, first):
    """That the ids are a whole section of valid calls, numbered from `first`."""
    calls = CALL.findall(KIMI.decode(ids))
    assert calls
    for i, (name, index, arguments) in enumerate(calls):
        assert (name, int(index)) == ("act", first + i)
        jsonschema.validate(json.loads(arguments), schema, jsonschema.Draft202012Validator)
    whole = "".join(
        f"{MARKERS['call']}functions.{n}:{i}{MARKERS['arguments']}{a}{MARKERS['call_end']}" for n, i, a in calls
    )
    assert KIMI.decode(ids[:-1]) == whole + MARKERS["section_end"]


def allowed(enforcer):
    mask = enforcer.mask()
    return set(np.flatnonzero(mask).tolist()) if mask is not None else ALL_IDS


def write(enforcer, *parts):
    """Accepts control tokens by their name in IDS, and the tokens of other texts; each must be allowed."""
    for part in parts:
        for token_id in [IDS[part]] if part in IDS else KIMI.encode(part, special=False):
            mask = enforcer.mask()
            assert mask is None or mask[token_id], f"{KIMI.decode([token_id])!r} of {part!r} is masked"
            enforcer.accept(token_id)


def refuses(enforcer, text):
    """Whether the first token of a text is masked."""
    return not enforcer.mask()[KIMI.encode(text, special=False)[0]]
