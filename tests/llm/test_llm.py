"""The public API on the tiny model: its weights are random, its behaviour is not."""

import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.chat.template import kimi_template
from kimi_cpu.errors import ConfigError, ContextOverflow, ModelFileError, RequestError, TokenizerError
from kimi_cpu.llm import ChatOptions
from kimi_cpu.llm.turn import ChatTurn
from tests import tiny

TOOLS = [tiny.WEATHER_TOOL]
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        yield llm


@pytest.fixture(scope="module")
def no_text(tmp_path_factory):
    """A model whose checkpoint had no tokenizer."""
    folder = tmp_path_factory.mktemp("no_text")
    kimi_cpu.convert(tiny.make(folder / "in"), folder / "out.gguf")
    with kimi_cpu.load(folder / "out.gguf", context=256) as llm:
        yield llm


def test_stream_joined_is_what_generate_returns(llm):
    options = {"max_tokens": 30, "seed": 5}
    whole = llm.generate("abc", **options)
    pieces = list(llm.stream("abc", **options))
    assert "".join(p.content for p in pieces) == whole.text
    assert tuple(i for p in pieces for i in p.token_ids) == whole.token_ids
    assert (pieces[-1].finish_reason, pieces[-1].usage.completion_tokens) == (whole.finish_reason, len(whole.token_ids))


def test_same_seed_gives_the_same_answer_and_another_seed_another(llm):
    first, again, other = (llm.generate("abc", max_tokens=30, seed=s).token_ids for s in (1, 1, 2))
    assert first == again != other


def test_ids_and_text_are_the_same_prompt(llm):
    ids = llm.tokenize("abc")
    assert (
        llm.generate(ids, max_tokens=8, temperature=0).token_ids
        == llm.generate("abc", max_tokens=8, temperature=0).token_ids
    )
    assert llm.detokenize(ids) == "abc"


def test_stop_text_ends_the_answer_before_it(llm):
    free = llm.generate("abc", max_tokens=40, temperature=0).text
    stop = free[5:8]
    stopped = llm.generate("abc", max_tokens=40, temperature=0, stop=stop)
    assert stopped.text == free[: free.index(stop)]
    assert stopped.finish_reason == "stop"


def test_second_request_with_the_same_beginning_finds_it_computed(llm):
    prompt = "The quick brown fox jumps over the lazy dog. " * 5
    llm.generate(prompt, max_tokens=2)
    assert llm.generate(prompt + "Again", max_tokens=2).usage.cached_tokens >= len(prompt) - 1


@pytest.mark.parametrize("options", [{}, {"tools": TOOLS, "tool_choice": "required"}, {"think_budget": 20}])
def test_resumed_answer_is_the_whole_answer(tiny_file, options):
    options = options | {"max_tokens": 90, "seed": 4}
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        whole = list(llm.stream(HELLO, **options))
    ids = [i for p in whole for i in p.token_ids]
    for known in (1, 30, len(ids) - 1):
        with kimi_cpu.load(tiny_file, context=1024) as llm:  # a new one has nothing of it in its cache
            again = list(llm.stream(HELLO, resume=ids[:known], **options))
        assert [p.token_ids for p in again] == [p.token_ids for p in whole]
        assert [(p.content, p.reasoning_content, p.tool_calls) for p in again] == [
            (p.content, p.reasoning_content, p.tool_calls) for p in whole
        ]
        assert again[-1].usage.reasoning_tokens == whole[-1].usage.reasoning_tokens


def test_tokens_that_leave_nothing_to_generate_cannot_be_resumed_with(llm):
    with pytest.raises(RequestError, match="resume"):
        llm.stream("abc", resume=[5, 6], max_tokens=2)


def test_closed_stream_leaves_room_for_the_next_request(llm):
    stream = llm.stream("abc", max_tokens=900)
    next(stream)
    stream.close()
    assert len(llm.generate("xyz", max_tokens=5, ignore_eos=True).token_ids) == 5


def test_requests_from_several_threads_get_their_own_answers(llm):
    prompts = [f"prompt {n}" for n in range(4)]
    alone = [llm.generate(p, max_tokens=12, temperature=0).token_ids for p in prompts]
    found = [None] * 4

    def ask(n):
        found[n] = llm.generate(prompts[n], max_tokens=12, temperature=0).token_ids

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_required_tool_call_is_valid_and_canonical(llm):
    turn = llm.chat(HELLO, tools=TOOLS, tool_choice="required", max_tokens=200, seed=3)
    (call, *_) = turn.tool_calls
    assert turn.finish_reason == "tool_calls"
    assert call["id"] == "functions.get_weather:0"
    assert call["function"]["arguments"].replace(" ", "") in [f'{{"days":{n}}}' for n in range(1, 10)]


def test_what_a_tools_schema_cannot_be_kept_to_is_told_of(llm):
    function = TOOLS[0]["function"]
    tool = {"type": "function", "function": function | {"parameters": function["parameters"] | {"not": {}}}}
    turn = llm.chat(HELLO, tools=[tool], tool_choice="required", max_tokens=200, seed=3)
    assert turn.tool_calls
    assert any("'not'" in warning for warning in turn.warnings)


def test_thinking_can_be_closed_at_once(llm):
    turn = llm.chat(HELLO, no_think=True, max_tokens=10, temperature=0)
    names = llm.tokenizer.special_tokens
    assert turn.token_ids[:2] == (names["<think>"], names["</think>"])
    assert turn.reasoning_content is None


@pytest.mark.parametrize("end", ["", "<think>"])
@pytest.mark.parametrize(
    "options", [{"tools": TOOLS, "tool_choice": "required"}, {"response_format": {"type": "json_object"}}]
)
def test_closed_thinking_and_a_bound_answer_go_together(llm, end, options):
    vocabulary = replace(llm.vocabulary, template=kimi_template() + end)
    guide = ChatTurn(HELLO, ChatOptions(**options, no_think=True), kimi_cpu.Sampling(), vocabulary).guide(100)
    closed = llm.tokenizer.encode("</think>" if end else "<think></think>")
    for token_id in closed:
        assert guide.mask()[token_id] and guide.forced() == token_id
        guide.accept(token_id)
    assert guide.mask().sum() < 10


def test_typed_control_token_stays_text(llm):
    plain = llm.chat([{"role": "user", "content": "<|im_end|>"}], max_tokens=1).usage.prompt_tokens
    other = llm.chat([{"role": "user", "content": "(|im_end|)"}], max_tokens=1).usage.prompt_tokens
    assert plain == other  # ten bytes each, in a vocabulary of single bytes


def test_saved_session_goes_on_without_computing_again(tiny_file, tmp_path):
    with kimi_cpu.load(tiny_file, context=1024, read_ahead=False) as llm:  # idle time would compute more, or not yet
        session = llm.session()
        turn = llm.chat(HELLO, session=session, max_tokens=20, temperature=0)
        messages = [*HELLO, turn.message(), {"role": "user", "content": "More"}]
        session.save(tmp_path / "talk")
        straight = llm.chat(messages, session=session, max_tokens=20, temperature=0)
    with kimi_cpu.load(tiny_file, context=1024, read_ahead=False) as llm:
        restored = llm.chat(messages, session=llm.load_session(tmp_path / "talk"), max_tokens=20, temperature=0)
    assert restored.token_ids == straight.token_ids
    assert restored.usage.cached_tokens == straight.usage.cached_tokens > 50


def test_samples_of_a_prompt_compute_it_once_and_have_seeds_of_their_own(llm):
    prompt = "Once upon a time there was a fox. " * 4
    samples = [list(g) for g in llm.samples(prompt, 3, max_tokens=10, seed=8, ignore_eos=True)]
    ids = [tuple(i for p in pieces for i in p.token_ids) for pieces in samples]
    assert ids == [llm.generate(prompt, max_tokens=10, seed=s, ignore_eos=True).token_ids for s in (8, 9, 10)]
    assert [p[-1].usage.cached_tokens for p in samples] == [0, len(prompt) - 1, len(prompt) - 1]


def test_samples_of_a_chat_are_steered_one_by_one(llm):
    samples = llm.samples(HELLO, 2, tools=TOOLS, tool_choice="required", max_tokens=200, seed=3)
    assert [list(g)[-1].finish_reason for g in samples] == ["tool_calls", "tool_calls"]


def test_logprobs_belong_to_the_tokens(llm):
    ids = llm.tokenize("abcdef")
    answer = llm.generate(ids, max_tokens=5, seed=1, logprobs=3, ignore_eos=True)
    assert [x.token_id for x in answer.logprobs] == list(answer.token_ids)
    row = llm.logits(ids)[-1].astype(np.float64)
    expected = row - row.max() - np.log(np.exp(row - row.max()).sum())
    first = answer.logprobs[0]
    np.testing.assert_allclose(first.logprob, expected[first.token_id])
    np.testing.assert_allclose([v for _, v in first.top], np.sort(expected)[:-4:-1])


def test_bias_for_an_id_that_does_not_exist_is_refused(llm):
    with pytest.raises(RequestError, match="logit_bias"):
        llm.generate("abc", logit_bias={100_000: 1})


def test_long_prompt_sends_its_progress(tiny_file):
    with kimi_cpu.load(tiny_file, context=256, chunk=32) as llm:
        pieces = list(llm.stream("x" * 80, max_tokens=2, ignore_eos=True))
    told = [p.prompt_progress for p in pieces if not p.token_ids and not p.finish_reason]
    assert {(32, 80), (64, 80)} <= set(told) and told == sorted(told)  # and more on a busy machine


@pytest.mark.parametrize("kv", ["f16", "int8"])
def test_long_context_takes_no_memory_before_it_is_used(tmp_path, kv):
    import psutil

    wide = {"kv_lora_rank": 512, "num_hidden_layers": 30, "max_position_embeddings": 262144}
    kimi_cpu.convert(tiny.make(tmp_path / "in", **wide), tmp_path / "out.gguf")
    before = psutil.Process().memory_info().rss
    with kimi_cpu.load(tmp_path / "out.gguf", kv=kv, context=262144) as llm:
        assert len(llm.generate([3, 4, 5], max_tokens=3, ignore_eos=True).token_ids) == 3
        assert psutil.Process().memory_info().rss - before < 500e6  # the whole context would be 8.5 or 4.8 GB


def test_context_follows_the_memory_of_the_cache_unless_it_is_named(tiny_file):
    with kimi_cpu.load(tiny_file, cache_memory="200K") as llm:
        assert 64 <= llm.context < 4096
        most = llm.context
    with pytest.raises(ConfigError, match=f"at most {most} tokens"):
        kimi_cpu.load(tiny_file, cache_memory="200K", context=4096)


def wait_until_idle(llm):
    """Until the engine has nothing left to do, idle requests included."""
    for thread in threading.enumerate():
        if thread.name == "kimi-cpu read-ahead":
            thread.join()
    while llm._thread.call(lambda engine: engine.has_work):
        time.sleep(0.1)  # each question interrupts an idle step, which then begins anew


@pytest.mark.parametrize("with_session", [False, True])
def test_next_turn_finds_its_prompt_read_ahead_although_reasoning_was_dropped(tiny_file, with_session):
    call = {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reasoning = "It is better to ask. " * 10
    messages = [*HELLO, {"role": "assistant", "content": "", "reasoning_content": reasoning, "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": "Yes."})

    def second_turn(read_ahead):
        with kimi_cpu.load(tiny_file, context=1024, read_ahead=read_ahead) as llm:
            options = {"seed": 3, "max_tokens": 60, "no_think": True}
            options |= {"session": llm.session()} if with_session else {}
            turn = llm.chat(messages, **options)
            wait_until_idle(llm)
            return turn, llm.chat([*messages, turn.message(), {"role": "user", "content": "More"}], **options)

    (first, plain), (_, ahead) = second_turn(False), second_turn(True)
    assert ahead.token_ids == plain.token_ids
    assert first.usage.prompt_tokens > len(reasoning) > ahead.usage.prompt_tokens - first.usage.prompt_tokens
    assert plain.usage.cached_tokens < 150  # as far as the reasoning that is no longer there
    assert ahead.usage.prompt_tokens - ahead.usage.cached_tokens < len("More") + 20


SYSTEM, WELL = {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Well?"}
CALL = {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": CALL["id"], "content": "Yes."}
NEW_HELLO = "<|im_user|>user<|im_middle|>Hello<|im_end|>"
NEW_RESULT = "<|im_system|>tool<|im_middle|>## Return of functions.f:0\nYes.<|im_end|>"
TURN = "<|im_assistant|>assistant<|im_middle|>"


@pytest.mark.parametrize(
    ("messages", "new"),
    [
        ([SYSTEM, *HELLO], NEW_HELLO + TURN),
        ([*HELLO, WELL, *HELLO, *HELLO], 2 * NEW_HELLO + TURN),
        ([*HELLO, CALLING, RESULT], NEW_RESULT + TURN),
        ([*HELLO, WELL, {"role": "user", "content": "Hello " * 40}], "<|im_middle|>"),
    ],
    ids=["system", "user", "tool", "long"],
)
def test_short_turn_attends_without_rebuilding_what_stands_before(llm, messages, new):
    session = llm.session()
    num_prompt = llm.chat(messages, session=session, max_tokens=8, seed=1).usage.prompt_tokens
    forms = session.forms(llm.chat_ids(messages))
    num_new = len(llm.tokenize(new))
    assert forms.tolist() == [0] * (num_prompt - num_new) + [1] * num_new


def test_what_follows_a_tool_call_is_read_ahead(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        turn = llm.chat(HELLO, tools=TOOLS, tool_choice="required", max_tokens=200, seed=3)
        wait_until_idle(llm)
        results = [{"role": "tool", "tool_call_id": c["id"], "content": "rain"} for c in turn.tool_calls]
        usage = llm.chat([*HELLO, turn.message(), *results], tools=TOOLS, max_tokens=5).usage
        assert usage.prompt_tokens - usage.cached_tokens < 100 * len(results)


def test_session_ends_where_the_answer_does_that_a_stop_text_ended(llm):
    options = {"no_think": True, "max_tokens": 40, "seed": 3}
    free = llm.chat(HELLO, **options).content
    session = llm.session()
    turn = llm.chat(HELLO, session=session, stop=free[5], **options)
    assert turn.usage.completion_tokens == len(turn.token_ids)
    assert session.num_tokens == turn.usage.total_tokens


def test_prompt_outlives_the_process_on_disk(tiny_file, tmp_path):
    prompt = "You are a careful agent. " * 20

    def ask(**options):
        with kimi_cpu.load(tiny_file, context=1024, **options) as llm:
            return llm.generate(prompt, max_tokens=8, seed=1)

    store = {"cache_disk": "10MiB", "cache_dir": tmp_path / "prefixes"}
    first, second, other = ask(**store), ask(**store), ask(**store, kv="int8")
    assert first.usage.cached_tokens == other.usage.cached_tokens == 0
    assert second.usage.cached_tokens == len(prompt) // 64 * 64
    assert second.token_ids == first.token_ids == ask().token_ids


def test_prompt_beyond_the_context_is_refused(llm):
    with pytest.raises(ContextOverflow, match="1024"):
        llm.generate("x" * 1024)


def test_answer_ends_where_the_context_does(llm):
    answer = llm.generate("x" * 1000, ignore_eos=True)
    assert len(answer.token_ids) == 24 and answer.finish_reason == "length"


def test_no_tokens_asked_for_is_an_empty_answer(llm):
    answer = llm.generate("abc", max_tokens=0)
    assert (answer.text, answer.token_ids, answer.finish_reason) == ("", (), "length")


@pytest.mark.parametrize(
    ("options", "name"), [({"temprature": 1}, "temprature"), ({"top_p": 2}, "top_p"), ({"seed": 2**64}, "seed")]
)
def test_wrong_parameter_is_refused_by_name(llm, options, name):
    with pytest.raises(RequestError, match=name):
        llm.generate("abc", **options)


@pytest.mark.parametrize("prompt", [[], [512], [-1], ["5"], [5.5], 5, None, {"a": 1}, [[5]]], ids=str)
def test_ids_that_do_not_exist_are_refused(llm, prompt):
    with pytest.raises(RequestError):
        llm.generate(prompt)


@pytest.mark.parametrize(
    "options",
    [
        {"compute": "fp8"},
        {"kv": "f32"},
        {"context": 0},
        {"context": 10**6},
        {"chunk": 0},
        {"parallel": 0},
        {"cache_memory": "much"},
        {"cache_memory": "10K"},
        {"cache_disk": "1K"},
        {"cache_dir": "/tmp"},
        {"contxt": 10},
    ],
)
def test_wrong_way_to_load_is_refused_by_name(tiny_file, options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(ConfigError, match=f"{name}|{value}"):
        kimi_cpu.load(tiny_file, **options)


def test_model_without_tokenizer_takes_ids_and_says_why_it_takes_no_text(no_text):
    assert len(no_text.generate([3, 4, 5], max_tokens=4, ignore_eos=True).token_ids) == 4
    assert no_text.logits([3, 4, 5]).shape == (3, 160)
    with pytest.raises(TokenizerError, match="no tokenizer"):
        no_text.generate("abc")


def test_file_of_another_layout_is_refused_with_the_remedy(tmp_path):
    from kimi_cpu.modelfile import TensorSpec, header_bytes

    head, _ = header_bytes("deepseek2", {}, [TensorSpec("x", "F32", (4,), 16)])
    (tmp_path / "other.gguf").write_bytes(head + bytes(16))
    with pytest.raises(ModelFileError, match="kimi-cpu convert"):
        kimi_cpu.load(tmp_path / "other.gguf")


def test_default_model_is_named_by_the_environment(tiny_file, monkeypatch):
    monkeypatch.setenv("KIMI_CPU_MODEL", str(tiny_file))
    with kimi_cpu.load(context=64) as llm:
        assert llm.context == 64


def test_int8_activations_stay_close_to_exact_ones(tiny_exact):
    ids = np.random.default_rng(0).integers(3, 250, 40).tolist()
    with kimi_cpu.load(tiny_exact, compute="f32", kv="f32") as llm:
        exact = llm.logits(ids)
    with kimi_cpu.load(tiny_exact) as llm:
        rounded = llm.logits(ids)
    cosine = (exact * rounded).sum(-1) / np.linalg.norm(exact, axis=-1) / np.linalg.norm(rounded, axis=-1)
    assert np.median(cosine) > 0.9  # random weights amplify rounding


@pytest.mark.parametrize("half", ["\ud800", "a\udfffb"])
def test_half_a_surrogate_pair_is_a_replacement_character_in_every_text(llm, half):
    whole = half.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert llm.generate(half, max_tokens=0).usage == llm.generate(whole, max_tokens=0).usage
    schema = {"type": "object", "properties": {half: {"enum": [half]}}, "required": [half]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema | {"additionalProperties": False}}}
    options = {"response_format": form, "no_think": True, "stop": [half * 3], "max_tokens": 200}
    content = llm.chat([{"role": "user", "content": half, "name": half}], **options).content
    assert json.loads(content) == {whole: whole}
    with pytest.raises(RequestError, match="nested"):
        deep = "x"
        for _ in range(300):
            deep = [deep]
        llm.chat(HELLO, template_kwargs={"a": deep})
