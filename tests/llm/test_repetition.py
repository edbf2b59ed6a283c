"""Answers that run in a circle, from Python to OpenAI's objects and batches, and what the model file says of them."""

import json
import shutil

import pytest

import kimi_cpu
from kimi_cpu.batch import BatchOptions, Run
from kimi_cpu.batch.answers import LanguageModel
from kimi_cpu.errors import ModelFileError

HELLO = [{"role": "user", "content": "Hello"}]
WISH = {"min_pattern_size": 1, "max_pattern_size": 8, "min_count": 32}
SAME = {"logit_bias": {97: 100}, "temperature": 0, "max_tokens": 200}  # one letter for ever


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024, read_ahead=False) as llm:
        yield llm


def test_answer_in_a_circle_stops_and_says_so_in_python(llm):
    raw = llm.generate("abc", repetition_detection=WISH, **SAME)
    turn = llm.chat(HELLO, repetition_detection=WISH, no_think=True, **SAME)
    last = list(llm.stream("abc", repetition_detection=WISH, **SAME))[-1]
    for answer in (raw, turn, last):
        assert (answer.finish_reason, answer.stop_reason, answer.usage.completion_tokens) == ("stop", "repetition", 64)
    assert raw.text == "a" * 64
    resumed = llm.submit("abc", resume=raw.token_ids[:-1], repetition_detection=WISH, **SAME).result()
    assert (resumed.token_ids, resumed.stop_reason) == (raw.token_ids, "repetition")


def test_answer_that_ends_otherwise_has_no_stop_reason(llm):
    for options in (SAME, SAME | {"repetition_detection": WISH, "max_tokens": 63}):
        assert (found := llm.generate("abc", **options)).stop_reason is None and found.finish_reason == "length"
    found = llm.generate("abc", repetition_detection=WISH, stop="aaa", **SAME)
    assert (found.finish_reason, found.stop_text, found.stop_reason) == ("stop", "aaa", None)


def test_choices_of_openais_objects_carry_the_stop_reason_and_others_do_not(llm):
    asked = SAME | {"repetition_detection": WISH}
    chunks = list(llm.create_chat_completion(HELLO, stream=True, no_think=True, **asked))
    texts = list(llm.create_completion("abc", stream=True, **asked))
    wholes = llm.create_chat_completion(HELLO, no_think=True, **asked), llm.create_completion("abc", **asked)
    for body in (*wholes, chunks[-1], texts[-1]):
        (choice,) = body["choices"]
        assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "repetition")
    assert all("stop_reason" not in chunk["choices"][0] for chunk in (*chunks[:-1], *texts[:-1]))
    assert "stop_reason" not in llm.create_completion("abc", **SAME)["choices"][0]


def test_batch_tells_it_in_its_results(llm, tmp_path):
    body = {"prompt": "abc", "repetition_detection": WISH} | SAME
    line = {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": body}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    Run([LanguageModel(llm, 7, {}, {})], tmp_path / "in.jsonl", tmp_path / "out.jsonl", BatchOptions()).run()
    (choice,) = json.loads((tmp_path / "out.jsonl").read_text())["response"]["body"]["choices"]
    assert (choice["finish_reason"], choice["stop_reason"], choice["text"]) == ("stop", "repetition", "a" * 64)


def converted(checkpoint, folder, wish):
    """A model file whose checkpoint asks for something."""
    shutil.copytree(checkpoint, folder / "checkpoint")
    path = folder / "checkpoint" / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"repetition_detection": wish}))
    kimi_cpu.convert(folder / "checkpoint", folder / "model.gguf")
    return folder / "model.gguf"


def test_model_file_decides_where_the_request_leaves_it_open(tiny_checkpoint, tmp_path):
    with kimi_cpu.load(converted(tiny_checkpoint, tmp_path, WISH), context=512) as llm:
        assert llm.generate("abc", **SAME).stop_reason == "repetition"
        assert llm.generate("abc", repetition_detection=False, **SAME).finish_reason == "length"
        assert llm.generate("abc", repetition_detection={"min_count": 9}, **SAME).finish_reason == "length"


def test_model_file_that_asks_for_what_cannot_be_is_refused_in_a_sentence(tiny_checkpoint, tmp_path):
    path = converted(tiny_checkpoint, tmp_path, {"min_count": "many"})
    with pytest.raises(ModelFileError, match=r"model\.gguf: metadata kimi-cpu\.generation_config: .*min_count.*many"):
        kimi_cpu.load(path)


def test_bundled_model_asks_for_it():
    with kimi_cpu.load(context=1024, read_ahead=False) as llm:
        options = {"logit_bias": {300: 100}, "temperature": 0, "max_tokens": 500}
        assert llm.generate("A", **options).stop_reason == "repetition"
        assert llm.generate("A", repetition_detection=False, **options).finish_reason == "length"
