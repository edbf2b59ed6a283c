"""Ids that the official tokenizer gave, made with tiktoken 0.14.0; tests/tokenizer/tokenizer_golden.json says how."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

CASES = json.loads((Path(__file__).parent / "tokenizer_golden.json").read_text())["cases"]


def text_of(case):
    """The case's text; long ones are written as a Python expression with a remark in parentheses."""
    if "text" in case:
        return case["text"]
    text = eval(case["generator"].split(" (")[0])
    assert hashlib.sha256(text.encode()).hexdigest() == case["text_sha256"]
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["category"])
def test_golden_ids_agree_and_decode_to_the_text(kimi, case):
    text = text_of(case)
    ids = kimi.encode(text, special=case["allow_special"])
    if "ids" in case:
        assert ids == case["ids"]
    else:
        assert len(ids) == case["n_ids"]
        assert hashlib.sha256(np.array(ids, "<u4").tobytes()).hexdigest() == case["ids_u32le_sha256"]
    assert kimi.decode(ids) == text
