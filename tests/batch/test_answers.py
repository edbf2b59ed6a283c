"""Batches on the tiny model: the answers are those that the Python API gives, however the run went."""

import json

import pytest

import kimi_cpu
from kimi_cpu.batch import BatchOptions, Run
from kimi_cpu.batch.answers import LanguageModel
from kimi_cpu.batch.model import Grown, Lost
from kimi_cpu.batch.results import seed_of
from kimi_cpu.errors import AnswerError, EngineDeadError, NonFiniteLogits, OutOfMemory, RequestError
from kimi_cpu.llm.results import Piece

from .fake import results, write
from .test_source import job

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=512, parallel=8) as llm:
        yield llm


def line(custom_id, url="/v1/completions", **body):
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def chat(custom_id, text="Hello", **body):
    return line(custom_id, CHAT, messages=[{"role": "user", "content": text}], **body)


def run(llm, folder, lines, name="out.jsonl", **options):
    """Response bodies by custom_id."""
    source = write(folder / "in.jsonl", lines)
    Run([LanguageModel(llm, 7, {"max_tokens": 20}, {})], source, folder / name, BatchOptions(**options)).run()
    return {r["custom_id"]: (r["response"]["status_code"], r["response"]["body"]) for r in results(folder / name)}


def test_answers_are_those_of_the_python_api(llm, tmp_path):
    found = run(llm, tmp_path, [line("raw", prompt="abc"), chat("chat", seed=3), chat("greedy", temperature=0)])
    assert {status for status, _ in found.values()} == {200}
    raw = llm.generate("abc", max_tokens=20, seed=seed_of("raw", 7))
    body = found["raw"][1]
    assert (body["object"], body["choices"][0]["text"]) == ("text_completion", raw.text)
    assert body["choices"][0]["finish_reason"] == raw.finish_reason
    for name, options in (("chat", {"seed": 3}), ("greedy", {"temperature": 0})):
        turn = llm.chat([{"role": "user", "content": "Hello"}], max_tokens=20, **options)
        body = found[name][1]
        assert (body["object"], body["choices"][0]["message"]) == ("chat.completion", turn.message())
        assert body["usage"]["completion_tokens"] == turn.usage.completion_tokens
    assert all(body["id"].startswith(("cmpl-", "chatcmpl-")) for _, body in found.values())


def test_several_samples_and_prompts_are_choices_of_one_object(llm, tmp_path):
    lines = [line("two", prompt=["abc", "xyz"], n=2, seed=5, echo=True), chat("tools", n=2, tools=[TOOL])]
    found = run(llm, tmp_path, lines)
    body = found["two"][1]
    texts = [p + llm.generate(p, max_tokens=20, seed=s).text for p in ("abc", "xyz") for s in (5, 6)]
    assert [(c["index"], c["text"]) for c in body["choices"]] == list(enumerate(texts))
    assert body["usage"]["prompt_tokens"] == len(llm.tokenize("abc")) + len(llm.tokenize("xyz"))
    assert len(found["tools"][1]["choices"]) == 2


def test_logprobs_come_with_the_answer(llm, tmp_path):
    found = run(llm, tmp_path, [chat("a", logprobs=True, top_logprobs=2, max_tokens=3)])
    told = found["a"][1]["choices"][0]["logprobs"]["content"]
    assert told and all(len(entry["top_logprobs"]) == 2 for entry in told)
    assert "".join(entry["token"] for entry in told) == found["a"][1]["choices"][0]["message"]["content"]


def test_request_that_cannot_be_served_is_told_why_and_the_others_are_answered(llm, tmp_path):
    lines = [
        line("long", prompt=[5] * 600),
        line("ids", prompt=[10**6]),
        chat("top_p", top_p=2),
        chat("stop", stop=5),
        chat("schema", response_format={"type": "json_schema", "json_schema": {"schema": {"type": "\ud800"}}}),
        line("good", prompt="abc"),
    ]
    found = run(llm, tmp_path, lines)
    errors = {name: body["error"] for name, (status, body) in found.items() if status != 200}
    assert set(errors) == {"long", "ids", "top_p", "stop", "schema"} and found["good"][0] == 200
    assert (errors["long"]["code"], errors["long"]["param"]) == ("context_length_exceeded", "prompt")
    assert "top_p" in errors["top_p"]["message"] and "vocabulary" in errors["ids"]["message"]


def test_value_that_cannot_be_is_refused_before_the_run(llm):
    with pytest.raises(RequestError, match="temperature"):
        LanguageModel(llm, 0, {"temperature": -1}, {})


def test_stopped_and_continued_run_gives_the_same_tokens_as_one_that_was_not(tiny_file, tmp_path):
    lines = [chat(f"q-{i}", f"Say {i}", max_tokens=100 + i, ignore_eos=True) for i in range(12)]
    lines += [chat("tools", tools=[TOOL], tool_choice="required"), chat("think", think_budget=30, max_tokens=90)]
    with kimi_cpu.load(tiny_file, context=512, parallel=8) as llm:
        whole = run(llm, tmp_path, lines, "whole.jsonl")
    stops = 0
    for least in (30, 200, 500, 800):
        with kimi_cpu.load(tiny_file, context=512, parallel=8) as llm:  # with nothing in its cache
            model = StopAfter(LanguageModel(llm, 7, {"max_tokens": 20}, {}), least)
            part = Run([model], tmp_path / "in.jsonl", tmp_path / "parts.jsonl", BatchOptions(parallel=5))
            model.stop = part.stop
            stops += part.run().num_done < len(lines)
    assert stops >= 3
    with kimi_cpu.load(tiny_file, context=512, parallel=8) as llm:
        parts = run(llm, tmp_path, lines, "parts.jsonl")
    assert {k: v["choices"] for k, (_, v) in parts.items()} == {k: v["choices"] for k, (_, v) in whole.items()}
    assert {v["usage"]["completion_tokens"] for _, v in parts.values()} == {
        v["usage"]["completion_tokens"] for _, v in whole.values()
    }


class StopAfter:
    """A model that stops its run once a number of tokens has been generated."""

    def __init__(self, model, least):
        self.model, self.left, self.identity, self.lag_s = model, least, model.identity, model.lag_s
        self.connect, self.start, self.cancel = model.connect, model.start, model.cancel

    def poll(self):
        events = self.model.poll()
        before = self.left
        self.left -= sum(len(event.ids) for event in events if isinstance(event, Grown))
        if self.left <= 0 < before:
            self.stop()
        return events


def test_failure_names_the_field_as_the_server_does(llm, tmp_path):
    message = {"role": "user", "content": "a", "foo": 1}
    wrong = {
        "response_format.type": {"response_format": {}},
        "tool_choice": {"tool_choice": "required"},
        "messages[0].foo": {"messages": [message]},
        "tools[0].function.foo": {"tools": [{"type": "function", "function": {"name": "f", "foo": 1}}]},
        "think_budget": {"thinking": {"type": "disabled"}, "think_budget": 5},
        "logit_bias": {"logit_bias": {"99999": 1}},
        "messages[1].prefix": {"messages": [*HELLO, {"role": "assistant", "content": "a", "prefix": "x"}]},
    }
    lines = [line(param, CHAT, **{"messages": HELLO} | body) for param, body in wrong.items()]
    for param, (status, body) in run(llm, tmp_path, lines).items():
        error = body["error"]
        assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
        assert error["code"] in ("invalid_value", "unknown_parameter") and error["message"]


def test_dialects_of_the_server_are_answered(llm, tmp_path):
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    form = {"type": "json_object", "schema": schema}
    lines = [
        line("off", CHAT, messages=HELLO, thinking={"type": "disabled"}, max_completion_tokens=4, seed=-1),
        line("form", CHAT, messages=HELLO, response_format=form, reasoning_effort="none", max_tokens=-1),
    ]
    found = run(llm, tmp_path, lines)
    off = llm.chat(HELLO, no_think=True, max_tokens=4, seed=-1)
    assert found["off"][1]["choices"][0]["message"] == off.message()
    assert json.loads(found["form"][1]["choices"][0]["message"]["content"]) == {"a": 1}


def test_half_a_surrogate_pair_in_a_line_is_a_replacement_character(llm, tmp_path):
    schema = {"type": "object", "properties": {"a\ud800": {"enum": ["\ud800"]}}, "required": ["a\ud800"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema | {"additionalProperties": False}}}
    lines = [
        chat("schema", "\ud800", response_format=form, no_think=True, max_tokens=200),
        line("echo", prompt="a\ud800", echo=True, max_tokens=1),
        chat("deep", chat_template_kwargs={"a": json.loads("[" * 300 + "]" * 300)}),
    ]
    found = run(llm, tmp_path, lines)
    assert json.loads(found["schema"][1]["choices"][0]["message"]["content"]) == {"a\ufffd": "\ufffd"}
    assert found["echo"][1]["choices"][0]["text"].startswith("a\ufffd")
    assert found["deep"][0] == 400 and "nested" in found["deep"][1]["error"]["message"]


def test_errors_of_a_line_are_short_whatever_they_repeat(llm, tmp_path):
    long = "x" * 1_000_000
    found = run(
        llm, tmp_path, [chat("a", tool_choice={"type": long}, tools=[{long: 1}]), line("b", prompt="a", **{long: 1})]
    )
    assert all(status == 400 and len(json.dumps(body)) < 5000 for status, body in found.values())


def test_a_line_whose_schema_cannot_be_fails_alone(llm, tmp_path):
    hostile = [{"$ref": "#"}, {"type": None}, {"pattern": "((a{50000}){50000}){50000}"}, False]
    forms = [{"type": "json_schema", "json_schema": {"name": "n", "schema": schema}} for schema in hostile]
    lines = [chat(f"bad {i}", response_format=form, no_think=True) for i, form in enumerate(forms)]
    found = run(llm, tmp_path, [*lines, chat("good"), chat("called", tools=[TOOL], stop=["x"] * 65)])
    assert found.pop("good")[0] == 200
    assert "stop" in found.pop("called")[1]["error"]["message"]
    for status, body in found.values():
        assert status == 400 and "cannot be enforced: $" in body["error"]["message"]


class Handle:
    """A generation that says two ids and then fails, or ends with a result that cannot be read."""

    def __init__(self, ids, error):
        self.pieces, self.error, self.is_cancelled = [Piece(token_ids=(i,)) for i in ids], error, False
        if error is None:
            self.pieces.append(Piece(finish_reason="stop"))

    def listen(self, changed):
        changed()

    def ready(self, at):
        if at >= len(self.pieces) and self.error is not None:
            raise self.error
        return self.pieces[at:]

    def result(self):
        raise ValueError("strange")

    def cancel(self):
        self.is_cancelled = True


class Failing:
    """An LLM whose generations fail with these errors, one after the other."""

    model_hash = "abc"

    def __init__(self, *errors):
        self.errors, self.handles = list(errors), []

    def submit(self, prompt, resume, **options):
        self.handles.append(Handle([*resume, 7, 8], self.errors.pop(0)))
        return self.handles[-1]


def answering(llm, *names):
    """A model that has begun a job of each name."""
    model = LanguageModel(llm, 0, {}, {})
    model.connect(lambda: None)
    for name in names:
        model.start(job(name), [5])
    return model


def test_answer_that_fails_on_its_way_fails_alone():
    llm = Failing(AnswerError("A guide failed."), NonFiniteLogits("NaN"), None)
    events = answering(llm, "a", "b", "c").poll()
    assert [event.ids for event in events if isinstance(event, Grown)] == []
    told = {event.key: (event.why.status, event.why.code, event.why.message) for event in events}
    assert told.pop(job("a").key) == (500, "internal_error", "A guide failed.")
    assert told.pop(job("b").key) == (500, "internal_error", "NaN")
    ((status, code, message),) = told.values()
    assert (status, code) == (500, "internal_error") and "ValueError: strange" in message
    assert all(handle.is_cancelled for handle in llm.handles)


def test_dead_engine_is_a_lost_model_when_what_came_before_is_taken():
    llm = Failing(EngineDeadError("The engine has stopped."), AnswerError("A guide failed."))
    model = answering(llm, "a", "b")
    with pytest.raises(Lost, match="The engine has stopped"):
        assert [event.key for event in model.poll()] == [job("b").key]
        model.poll()


def test_too_little_memory_ends_the_run():
    with pytest.raises(OutOfMemory):
        answering(Failing(OutOfMemory("full")), "a").poll()


def test_a_heavy_answer_comes_with_its_report(llm, tmp_path):
    status, body = run(llm, tmp_path, [chat("heavy", heavy=2, seed=3)])["heavy"]
    turn = llm.chat(HELLO, heavy=2, seed=3, max_tokens=20)
    assert status == 200 and body["choices"][0]["message"] == turn.message()
    assert [one["tokens"] for one in body["heavy"]["trajectories"]] == [one.tokens for one in turn.heavy.trajectories]


def test_answer_that_is_withdrawn_ends_and_another_may_begin_under_its_key():
    llm = Failing(AnswerError("A guide failed."), None)
    model = answering(llm, "a")
    model.withdraw(job("a").key)
    model.withdraw(job("a").key)
    assert llm.handles[0].is_cancelled and model.poll() == []
    model.start(job("a"), [5])
    assert {event.key for event in model.poll()} == {job("a").key}
