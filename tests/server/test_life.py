"""A server's life: loading, full, left by its clients, dead, told to stop."""

import threading

import httpx
import pytest

from kimi_cpu.errors import AnswerError, EngineDeadError, ModelFileError, NonFiniteLogits

from .fake import FakeLLM, last_piece, text_pieces
from .serving import serving

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
CHAT = "/v1/chat/completions"


def wait_for(condition) -> None:
    """Until it holds, or half a minute has passed."""
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("It never came to hold.")


def cancelled(generation) -> bool:
    return generation.is_cancelled


def test_loading_server_answers_503_and_then_serves():
    llm, loaded = FakeLLM([*text_pieces("Hi"), last_piece()]), threading.Event()
    with serving(llm, load=lambda: loaded.wait() and llm, ready=False) as served:
        for answer in (served.http.get("/health"), served.http.post(CHAT, json=HELLO)):
            assert (answer.status_code, answer.json()["error"]["message"]) == (503, "Loading model")
            assert answer.headers["retry-after"]
        loaded.set()
        wait_for(lambda: served.http.get("/health").status_code == 200)
        assert served.http.post(CHAT, json=HELLO).status_code == 200
    assert llm.is_closed


def test_model_that_cannot_be_loaded_ends_the_server():
    def fail():
        raise ModelFileError("x.gguf: not a model file.")

    with pytest.raises(ModelFileError, match="not a model file"), serving(None, load=fail, ready=False):
        pass


@pytest.mark.parametrize("stream", [False, True])
def test_client_that_leaves_ends_its_sequence(stream):
    llm = FakeLLM([*text_pieces("Hi"), cancelled, last_piece()])
    with serving(llm) as served:
        with httpx.Client(base_url=served.url) as client:
            if stream:
                with client.stream("POST", CHAT, json=HELLO | {"stream": True}) as answer:
                    next(answer.iter_lines())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    client.post(CHAT, json=HELLO, timeout=0.3)
        wait_for(lambda: llm.generations[0].is_cancelled)
        wait_for(lambda: "kimi_cpu:num_requests_running 0.0" in served.http.get("/metrics").text)


def test_silence_is_filled_with_comments():
    llm = FakeLLM([lambda g: pings.count(": ping") >= 3, *text_pieces("Hi"), last_piece()])
    pings: list[str] = []
    with serving(llm, ping_s=0.02) as served, served.http.stream("POST", CHAT, json=HELLO | {"stream": True}) as answer:
        for line in answer.iter_lines():
            pings.append(line)
    assert pings.count(": ping") >= 3
    assert pings[-2] == "data: [DONE]"


def test_full_queue_is_429_with_a_time_to_come_back():
    llm = FakeLLM([*text_pieces("Hi"), cancelled, last_piece()])
    body = HELLO | {"stream": True}
    with (
        serving(llm, parallel=1, max_waiting=1) as served,
        httpx.Client(base_url=served.url) as first,
        httpx.Client(base_url=served.url) as second,
    ):
        with first.stream("POST", CHAT, json=body), second.stream("POST", CHAT, json=body):
            metrics = served.http.get("/metrics").text
            assert "num_requests_running 2.0" in metrics and "kv_cache_usage_perc 0.25" in metrics
            assert "expert_hits 75.0" in metrics and "expert_hit_rate 1.0" in metrics
            answer = served.http.post(CHAT, json=HELLO)
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
            assert int(answer.headers["retry-after"]) >= 1
        llm.play([*text_pieces("Hi"), last_piece()])
        wait_for(lambda: served.http.post(CHAT, json=HELLO).status_code == 200)
        too_many = served.http.post(CHAT, json=HELLO | {"n": 3})
        assert (too_many.status_code, too_many.json()["error"]["param"]) == (400, "n")


def test_dead_engine_is_told_to_every_client_and_to_health():
    dying = threading.Event()
    llm = FakeLLM([*text_pieces("Hi"), lambda g: dying.is_set(), EngineDeadError("The engine has stopped: OOM")])
    with (
        serving(llm) as served,
        httpx.Client(base_url=served.url) as other,
        served.http.stream("POST", CHAT, json=HELLO | {"stream": True}) as one,
        other.stream("POST", CHAT, json=HELLO | {"stream": True}) as two,
    ):
        assert other.base_url and httpx.get(f"{served.url}/health").status_code == 200
        llm.is_dead = True
        dying.set()
        assert all("The engine has stopped: OOM" in answer.read().decode() for answer in (one, two))
        llm.play([], refuse=EngineDeadError("The engine has stopped: OOM"))
        for answer in (httpx.get(f"{served.url}/health"), httpx.post(f"{served.url}{CHAT}", json=HELLO)):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_dead")


@pytest.mark.parametrize("error", [AnswerError("A guide failed."), NonFiniteLogits("x.gguf gives NaN.")])
@pytest.mark.parametrize("stream", [False, True])
def test_answer_that_fails_is_told_of_and_the_server_goes_on(error, stream):
    llm = FakeLLM([*text_pieces("Hi"), error], [*text_pieces("Hi"), last_piece()])
    with serving(llm) as served:
        answer = served.http.post(CHAT, json=HELLO | {"stream": stream})
        assert answer.status_code == (200 if stream else 500) and str(error) in answer.text
        assert "server_error" in answer.text
        assert served.http.post(CHAT, json=HELLO).status_code == 200
        assert served.http.get("/health").status_code == 200
        metrics = served.http.get("/metrics").text
        assert "num_requests_running 0.0" in metrics and 'finished_reason="error"} 1.0' in metrics


def test_client_whose_request_met_a_fault_uses_another_connection():
    llm = FakeLLM([RuntimeError("a bug")], [*text_pieces("Hi"), last_piece()])
    with serving(llm) as served:
        answer = served.http.post(CHAT, json=HELLO)
        assert answer.status_code == 500 and answer.headers["Connection"] == "close"
        for _ in range(3):
            assert served.http.post(CHAT, json=HELLO).status_code == 200


def test_server_that_stops_tells_its_clients():
    llm = FakeLLM([*text_pieces("Hi"), cancelled, last_piece()])
    with serving(llm) as served:
        client = httpx.Client(base_url=served.url, timeout=30)
        answer = client.send(client.build_request("POST", CHAT, json=HELLO | {"stream": True}), stream=True)
        lines = answer.iter_lines()
        next(lines)
    assert any("shutting down" in line for line in lines)
    client.close()
    assert llm.is_closed and llm.generations[0].is_cancelled


def test_metrics_count_what_was_answered(http):
    def value(name: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"kimi_cpu:{name} "))

    names = ("prompt_tokens_total", "generation_tokens_total", "prefix_cache_hits_total")
    before = [value(name) for name in names]
    http.post(CHAT, json=HELLO)
    assert [value(name) - b for name, b in zip(names, before, strict=True)] == [12, 5, 2]
