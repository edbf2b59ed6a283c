"""Heavy mode over HTTP: the field, progress that OpenAI's client passes over, the report, and places."""

from dataclasses import replace

from kimi_cpu.llm import HeavyReport, Piece, Trajectory, Usage

from .fake import last_piece, text_pieces
from .test_chat import HELLO, chunks

CHAT = "/v1/chat/completions"
RUNNING, ANSWERED = Trajectory("running", None, 3, 0.5), Trajectory("answered", "4", 7, 1.0)
REPORT = HeavyReport((ANSWERED, ANSWERED), (("4", 2),), "aggregation", Usage(30, 5, 20, 1), 1.0, 0.25)
SCRIPT = [
    Piece(trajectories=(RUNNING, ANSWERED)),
    *text_pieces("It is 4.", "Let me think"),
    replace(last_piece(), heavy=REPORT),
]
TOLD = {
    "trajectories": [{"state": "answered", "answer": "4", "tokens": 7, "seconds": 1.0}] * 2,
    "votes": [{"answer": "4", "votes": 2}],
    "by": "aggregation",
    "aggregation": {
        "prompt_tokens": 30,
        "completion_tokens": 5,
        "total_tokens": 35,
        "prompt_tokens_details": {"cached_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
    "trajectories_seconds": 1.0,
    "aggregation_seconds": 0.25,
}


def test_whole_answer_has_the_report(http, fake):
    fake.play(SCRIPT)
    body = http.post(CHAT, json={"messages": HELLO, "heavy": 2}).json()
    assert body["heavy"] == TOLD and body["choices"][0]["message"]["content"] == "It is 4."
    assert fake.calls[0][1:] == (1, {"heavy": 2})


def test_stream_tells_progress_of_all_and_ends_with_the_report(http, fake):
    fake.play(SCRIPT)
    _, progress, *_, last = chunks(http.post(CHAT, json={"messages": HELLO, "heavy": 2, "stream": True}))
    states = [one["state"] for one in progress["heavy"]["trajectories"]]
    assert states == ["running", "answered"] and progress["choices"][0]["delta"] == {}
    assert last["heavy"] == TOLD and last["choices"][0]["finish_reason"] == "stop"


def test_openais_client_passes_over_it(openai, fake):
    fake.play(SCRIPT)
    asked = {"model": "any", "messages": HELLO, "extra_body": {"heavy": 2}}
    with openai.chat.completions.stream(**asked) as stream:
        whole = stream.get_final_completion()
    assert whole.choices[0].message.content == "It is 4."
    fake.play(SCRIPT)
    assert openai.chat.completions.create(**asked).heavy == TOLD


def test_trajectories_take_places(http, fake):
    too_many = http.post(CHAT, json={"messages": HELLO, "heavy": 128, "n": 128})
    assert too_many.status_code == 400 and fake.calls == []
    wrong = http.post(CHAT, json={"messages": HELLO, "heavy": 0}).json()["error"]
    assert wrong["param"] == "heavy"
    assert http.post("/v1/completions", json={"prompt": "a", "heavy": 2}).status_code == 400
