"""/v1/completions."""

import pytest

from kimi_cpu.llm import Piece

from .fake import last_piece, logprob, text_pieces


def test_text_goes_on_with_openais_default_length(openai, fake):
    answer = openai.completions.create(model="any", prompt="Once")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Hello world", "stop")
    assert fake.calls == [("Once", 1, {"max_tokens": 16})]


def test_stream_is_the_whole_in_pieces(openai):
    stream = openai.completions.create(model="any", prompt="Once", stream=True, stream_options={"include_usage": True})
    *pieces, usage = list(stream)
    assert "".join(p.choices[0].text for p in pieces) == "Hello world"
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert usage.choices == [] and usage.usage.total_tokens == 17


@pytest.mark.parametrize("prompt", [["a", "b"], [[1, 2], [3]]], ids=str)
def test_several_prompts_are_answered_in_order(openai, fake, prompt):
    fake.play(*[[*text_pieces(t), last_piece()] for t in ("a1", "a2", "b1", "b2")])
    answer = openai.completions.create(model="any", prompt=prompt, n=2)
    assert [c.text for c in answer.choices] == ["a1", "a2", "b1", "b2"]
    assert [call[0] for call in fake.calls] == prompt
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (24, 20)


@pytest.mark.parametrize("stream", [False, True])
def test_each_prompt_counts_once_whichever_ends_first(openai, fake, stream):
    def after(number):
        return lambda _: len(fake.generations) > number and fake.generations[number].is_over

    waits = [[after(2)], [after(3)], [], [after(0)]]  # they end in the order b1, a1, b2, a2
    prompts = (3, 3, 50, 50)
    fake.play(*[[*text_pieces("x"), *wait, last_piece(prompt=n)] for wait, n in zip(waits, prompts, strict=True)])
    more = {"stream_options": {"include_usage": True}} if stream else {}
    answer = openai.completions.create(model="any", prompt=["a", "b"], n=2, stream=stream, **more)
    usage = list(answer)[-1].usage if stream else answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (53, 20, 73)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("prompt", "shown"), [("Once ", "Once "), ([79, 110], "On")])
def test_echo_repeats_the_prompt(openai, prompt, shown, stream):
    answer = openai.completions.create(model="any", prompt=prompt, echo=True, stream=stream)
    text = "".join(c.choices[0].text for c in answer) if stream else answer.choices[0].text
    assert text == shown + "Hello world"


def test_logprobs_have_the_shape_of_completions(openai, fake):
    fake.play([Piece(content="A", logprobs=(logprob(65),)), Piece(content="B", logprobs=(logprob(66),)), last_piece()])
    logprobs = openai.completions.create(model="any", prompt="x", logprobs=2).choices[0].logprobs
    assert (logprobs.tokens, logprobs.token_logprobs, logprobs.text_offset) == (["A", "B"], [-0.5, -0.5], [0, 1])
    assert logprobs.top_logprobs[0] == {"A": -0.5, "B": -1.5}


@pytest.mark.parametrize(
    "body", [{"suffix": "x"}, {"best_of": 2}, {"prompt": []}, {"echo": True, "logprobs": 1}], ids=str
)
def test_what_cannot_be_honoured_is_refused(http, fake, body):
    answer = http.post("/v1/completions", json={"prompt": "x"} | body)
    assert answer.status_code == 400 and next(iter(body)) in answer.json()["error"]["message"]
    assert fake.calls == []
