"""From ids to pieces of an answer: what of them is text, and which tokens that text is made of."""

import random

import pytest

from kimi_cpu.chat import OutputParser
from kimi_cpu.engine import TokenLogprob
from kimi_cpu.llm.openai import chat_logprobs, completion_logprobs
from kimi_cpu.llm.reading import ChatReader, RawReader
from kimi_cpu.tokenizer import Tokenizer

TEXTS = [
    "Hel",
    "lo ",
    "World",
    " ",
    "\n",
    "€",
    "日本",
    "😀",
    "<",
    "<|tool_call_section_begin|>",
    '{"a": 1}',
    "END",
    "stop",
]
MARKS = ["<think>", "</think>", "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|im_end|>"]
MARKS += ["<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"]
STOPS = [(), ("lo W",), ("END", "\n\n"), ("€",), ("World", "orl"), ("a", "日"), ("ld stop here",)]


@pytest.fixture(scope="module")
def tokenizer(tiny_file):
    """Of single bytes: every character beyond ASCII is several tokens."""
    return Tokenizer.load(tiny_file)


@pytest.fixture(scope="module")
def large():
    """Of longer tokens: a text begins and ends within them."""
    from kimi_cpu.llm import BUNDLED_MODEL

    return Tokenizer.load(BUNDLED_MODEL)


def read(reader, ids: list[int], logprobs: bool) -> list[tuple]:
    """The deltas and log-probabilities of an answer that ends with its stop text or its last id."""
    found = []
    for number, token_id in enumerate(ids):
        found.append(reader.push(token_id, TokenLogprob(token_id, -float(number), ()) if logprobs else None))
        if reader.stop_text is not None:
            break
    return [*found, reader.finish("stop")]


def chat_reader(tokenizer, stop=(), logprobs=True, tools=("f",), thinking=False):
    return ChatReader(tokenizer, OutputParser(tokenizer, tools, thinking), stop, None, logprobs)


def ids_of(tokenizer, *parts: str) -> list[int]:
    return [i for part in parts for i in tokenizer.encode(part)]


def random_ids(tokenizer, seed: int) -> list[int]:
    """An answer that no model would give: texts, halves of characters and marks in any order."""
    chosen = random.Random(seed)
    ids = []
    for _ in range(chosen.randrange(1, 25)):
        kind = chosen.random()
        if kind < 0.25:
            ids += tokenizer.encode(chosen.choice(MARKS))
        elif kind < 0.35:
            ids.append(chosen.randrange(tokenizer.n_vocab))
        else:
            ids += tokenizer.encode(chosen.choice(TEXTS), special=False)
    return ids


@pytest.mark.parametrize("kind", ["chat", "thinking", "no tools", "raw"])
@pytest.mark.parametrize("vocabulary", ["tokenizer", "large"])
def test_tokens_of_every_piece_are_its_content_and_no_token_comes_twice(kind, vocabulary, request):
    tokenizer = request.getfixturevalue(vocabulary)

    def reader(stop, logprobs):
        if kind == "raw":
            return RawReader(tokenizer, stop, frozenset(tokenizer.eos_ids), logprobs)
        return chat_reader(tokenizer, stop, logprobs, () if kind == "no tools" else ("f",), kind == "thinking")

    for seed in range(400):
        ids, stop = random_ids(tokenizer, seed), STOPS[seed % len(STOPS)]
        plain, told = read(reader(stop, False), ids, False), read(reader(stop, True), ids, True)
        for delta, logprobs in told:
            content = (chat_logprobs(logprobs, tokenizer.token_bytes) or {"content": []})["content"]
            assert "".join(token["token"] for token in content) == delta.content, seed
            raw = bytes(byte for token in content for byte in token["bytes"])
            assert raw.decode("utf-8", "replace") == delta.content, seed
        assert "".join(d.content for d, _ in plain) == "".join(d.content for d, _ in told), seed
        numbers = [-x.logprob for _, logprobs in told for x in logprobs]
        assert numbers == sorted(set(numbers)), seed


def test_thinking_calls_and_stop_texts_have_no_logprobs(large):
    ids = ids_of(large, "<think>", "Hmm.", "</think>", "Hello World", "<|im_end|>")
    told = read(chat_reader(large, ("lo W",)), ids, True)
    content = [large.token_bytes(x.token_id) if x.shown is None else x.shown for _, xs in told for x in xs]
    assert b"".join(content) == b"Hel"
    call = ["<|tool_calls_section_begin|>", "<|tool_call_begin|>", "functions.f:0", "<|tool_call_argument_begin|>"]
    ids = ids_of(large, "I look.", *call, '{"a": 1}', "<|tool_call_end|>", "<|tool_calls_section_end|>", "<|im_end|>")
    told = read(chat_reader(large), ids, True)
    assert b"".join(large.token_bytes(x.token_id) for _, xs in told for x in xs) == b"I look."


@pytest.mark.parametrize("logprobs", [False, True])
def test_beginning_of_a_stop_text_comes_before_the_call_that_follows_it(large, logprobs):
    call = ["<|tool_calls_section_begin|>", "<|tool_call_begin|>", "functions.f:0", "<|tool_call_argument_begin|>"]
    ids = ids_of(large, "I look. EN", *call, "{}", "<|tool_call_end|>", "<|tool_calls_section_end|>", "<|im_end|>")
    deltas = [delta for delta, _ in read(chat_reader(large, ("END",), logprobs), ids, logprobs)]
    first = next(i for i, delta in enumerate(deltas) if delta.tool_calls)
    assert "".join(delta.content for delta in deltas[: first + 1]) == "I look. EN"
    assert not any(delta.content for delta in deltas[first + 1 :])


def test_beginning_of_a_stop_text_comes_before_more_thinking(large):
    ids = ids_of(large, "Yes EN", "<think>", "Hmm", "</think>", "D.", "<|im_end|>")
    deltas = [delta for delta, _ in read(chat_reader(large, ("END",)), ids, True)]
    shown = [(d.content, d.reasoning_content) for d in deltas if d.content or d.reasoning_content]
    thought = next(i for i, (_, reasoning) in enumerate(shown) if reasoning)
    assert "".join(content for content, _ in shown[:thought]) == "Yes EN"
    assert "".join(content for content, _ in shown) == "Yes END."


def test_offsets_of_completions_are_where_tokens_begin(tokenizer):
    told = read(RawReader(tokenizer, (), frozenset(), True), tokenizer.encode("a€b"), True)
    shown = completion_logprobs([x for _, xs in told for x in xs], tokenizer.token_bytes, 3)
    assert shown["tokens"] == ["a", "", "", "€", "b"]
    assert shown["text_offset"] == [3, 4, 4, 4, 5]
