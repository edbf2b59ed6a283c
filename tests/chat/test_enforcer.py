"""The mask of constrained decoding, under logits that want anything but the end."""

import json
import os
import re

import jsonschema
import numpy as np
import pytest

from kimi_cpu.chat import Enforcer
from kimi_cpu.tokenizer import Tokenizer

from ..tokenizer.conftest import RANKS_PATH
from .enforcer_schemas import SCHEMAS

NUM_CALLS = int(os.environ.get("KIMI_CPU_ENFORCER_CALLS", "90"))  # 2000 for the full check, which takes minutes
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


@pytest.fixture(scope="module")
def kimi():
    return Tokenizer.load(RANKS_PATH)


@pytest.fixture(scope="module")
def wished(kimi):
    """For each of WISHES the ids that it prefers."""
    tokens = [kimi.token_bytes(i) for i in range(kimi.n_vocab)]
    return [np.array([i for i, t in enumerate(tokens) if set(t) <= set(w)], int) for w in WISHES]


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


def generate(enforcer, kimi, preferred, rng, limit=MAX_CALL_TOKENS):
    """Ids up to the end token, which is not among them; AssertionError: none within the limit."""
    ids = []
    while len(ids) < limit:
        token_id = enforcer.forced()
        if token_id is None:
            mask = enforcer.mask()
            assert mask.any()
            token_id = draw(mask, preferred, rng)
        enforcer.accept(token_id)
        if token_id in kimi.eos_ids:
            return ids
        ids.append(token_id)
    raise AssertionError(f"cut off: {kimi.decode(ids[-100:])!r}")


def test_calls_drawn_from_random_logits_are_valid_under_their_schemas(kimi, wished):
    done = 0
    while done < NUM_CALLS:
        schema, preferred = SCHEMAS[done % len(SCHEMAS)], wished[done // len(SCHEMAS) % len(WISHES)]
        rng = np.random.default_rng(done)
        enforcer = Enforcer(kimi, [tool(schema)], "required", next_index=done)
        enforcer.accept(kimi.special_tokens["<|tool_calls_section_begin|>"])
        ids = generate(enforcer, kimi, preferred, rng, MAX_CALL_TOKENS)
        calls = CALL.findall(kimi.decode(ids))
        assert calls
        for i, (name, index, arguments) in enumerate(calls):
            assert (name, int(index)) == ("act", done + i)
            jsonschema.validate(json.loads(arguments), schema, jsonschema.Draft202012Validator)
        done += 1  # a section counts once, however many calls it holds
