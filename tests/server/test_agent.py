"""The agent of a server: runs with the tools of real MCP servers, and the consent that each call needs."""

import json
import threading

import pytest

import kimi_cpu
from tests.agent.fake import Turn, call
from tests.agent.test_loop import results

from .agent_client import AgentLLM, configured, serving_agent
from .test_life import wait_for


@pytest.fixture(scope="module")
def tokenizer(tiny_file):
    return kimi_cpu.Tokenizer.load(tiny_file)


@pytest.fixture(scope="module")
def served(tokenizer, tmp_path_factory):
    llm = AgentLLM(Turn("nothing"), tokenizer=tokenizer)
    broken = {"command": "/no/such/program"}
    with serving_agent(llm, configured(tmp_path_factory.mktemp("mcp"), broken=broken), allow=("notes__add",)) as client:
        yield llm, client


@pytest.fixture
def llm(served):
    served[0].play(Turn("nothing"))
    return served[0]


@pytest.fixture
def client(served, llm):
    return served[1]


def test_tools_are_listed_with_what_needs_no_consent_and_what_else_the_servers_offer(client):
    listed = client.http.get("/v1/agent/tools").json()
    tools = {tool["name"]: tool for tool in listed["data"]}
    assert tools["notes__add"]["allowed"] and tools["notes__add"]["read_only"] and not tools["notes__append"]["allowed"]
    assert tools["notes__append"]["parameters"]["required"] == ["path", "text"]
    notices = "\n".join(listed["notices"])
    assert "1 resources (one)" in notices and "1 prompts (greet)" in notices and "broken is left out" in notices


def test_run_shows_reasoning_calls_results_and_the_outcome(client, llm):
    llm.play(call("notes__add", a=2, b=3), Turn("It is 5."))
    llm.goes_on.clear()
    with client.run("2 + 3?", temperature=0) as run:
        assert run.until("piece") == {"kind": "piece", "content": "", "reasoning_content": "a", "tool_calls": []}
        llm.goes_on.set()
        outcome = run.until("outcome")
        assert run.rest()[-2:] == ["data: [DONE]", ""]
    steps = [kind for kind in run.kinds() if kind != "piece"]
    assert steps == ["run", "begun", "answered", "called", "returned", "answered", "ended", "outcome"]
    returned = next(event for event in run.events if event["kind"] == "returned")
    assert (returned["status"], returned["content"]) == ("done", "5")
    assert (outcome["content"], outcome["reason"], outcome["calls"]) == ("It is 5.", "answered", 1)
    assert [m["role"] for m in outcome["messages"]] == ["assistant", "tool", "assistant"] and not outcome["replaces"]
    assert llm.asked[0][1]["temperature"] == 0


def test_run_goes_on_with_the_conversation_before_it(client, llm):
    llm.play(Turn("It is 5."), Turn("It was 5."))
    with client.run({"role": "system", "content": "Be brief."}, "2 + 3?") as run:
        messages = run.until("outcome")["messages"]
    with client.run({"role": "system", "content": "Be brief."}, "2 + 3?", *messages, "What was it?") as run:
        run.until("outcome")
    assert [m["role"] for m in llm.asked[1][0]] == ["system", "user", "assistant", "user"]
    assert llm.asked[1][0][2]["reasoning_content"] == "thinking"


@pytest.mark.parametrize(("decision", "written"), [("allow", "x"), ("deny", ""), ("always", "xx")])
def test_call_waits_until_it_is_decided_on_and_a_denied_one_is_never_made(client, llm, tmp_path, decision, written):
    path = tmp_path / "effect"
    path.touch()
    append = call("notes__append", path=str(path), text="x")
    llm.play(append, *([append] if decision == "always" else []), Turn("ok"))
    with client.run("Go") as run:
        waiting = run.until("waiting")
        assert waiting["name"] == "notes__append" and str(path) in waiting["arguments"]
        assert path.read_text() == "" and len(llm.asked) == 1
        assert run.order("allow", call="9.9").status_code == 409
        assert run.order(decision, call=waiting["call"]).status_code == 200
        assert run.order("allow", call=waiting["call"]).status_code == 409  # as from a second browser
        run.until("outcome")
    assert run.kinds().count("waiting") == 1
    assert path.read_text() == written
    told = results(llm.asked[-1][0])[0]
    assert ("has not allowed" in told) if decision == "deny" else (told == "1 characters")


def test_client_may_allow_tools_beforehand(client, llm, tmp_path):
    path = tmp_path / "effect"
    llm.play(call("notes__append", path=str(path), text="x"), Turn("ok"))
    with client.run("Go", allow=["notes__app*"]) as run:
        run.until("outcome")
    assert path.read_text() == "x" and "waiting" not in run.kinds()


def test_page_that_is_left_while_a_call_waits_can_be_opened_again_elsewhere(client, llm, tmp_path):
    path = tmp_path / "effect"
    llm.play(call("notes__append", path=str(path), text="x"), Turn("ok"))
    with client.run("Go") as run:
        waiting = run.until("waiting")
    assert not path.exists()
    with client.follow(run.id) as first, client.follow(run.id) as second:
        assert first.until("waiting") == second.until("waiting") == waiting
        assert "piece" not in first.kinds()  # the record says it again
        assert second.order("allow", call=waiting["call"]).status_code == 200
        assert first.until("outcome") == second.until("outcome")
    assert path.read_text() == "x"
    with client.http.stream("GET", f"/v1/agent/runs/{run.id}/events", headers={"Last-Event-ID": "0"}) as rest:
        assert "id: 0" not in (lines := list(rest.iter_lines())) and "data: [DONE]" in lines


def test_run_that_nobody_reads_for_long_is_stopped_and_forgotten(client, llm, tmp_path, monkeypatch):
    monkeypatch.setattr("kimi_cpu.server.agents.LEFT_S", 0.05)
    path = tmp_path / "effect"
    llm.play(call("notes__append", path=str(path), text="x"), Turn("ok"))
    with client.run("Go") as run:
        run.until("waiting")
    wait_for(lambda: run.order("stop").status_code == 404)
    assert not path.exists() and len(llm.asked) == 1


def test_stop_while_a_call_waits_ends_the_run_at_once_without_the_call(client, llm, tmp_path):
    path = tmp_path / "effect"
    llm.play(call("notes__add", a=1, b=1), call("notes__append", path=str(path), text="x"), Turn("ok"))
    with client.run("Go") as run:
        run.until("waiting")
        run.order("stop")
        outcome = run.until("outcome")
    assert outcome["reason"] == "stopped" and outcome["content"] is None
    assert [m["role"] for m in outcome["messages"]] == ["assistant", "tool", "assistant", "tool"]
    assert "may have been carried out" in outcome["messages"][3]["content"]
    assert not path.exists() and len(llm.asked) == 2


def test_stop_while_the_model_answers_keeps_what_it_has_said(client, llm):
    llm.play(Turn("Once upon a time"))
    llm.goes_on.clear()
    with client.run("Tell me.") as run:
        while run.until("piece")["content"] != "Once upon a time":
            pass
        run.order("stop")
        outcome = run.until("outcome")
    said = {"role": "assistant", "content": "Once upon a time", "reasoning_content": "a"}
    assert (outcome["reason"], outcome["messages"]) == ("stopped", [said])
    wait_for(lambda: not any("agent run" in thread.name for thread in threading.enumerate()))


def test_answer_now_makes_no_more_calls(client, llm, tmp_path):
    path = tmp_path / "effect"
    llm.play(call("notes__append", path=str(path), text="x"), Turn("As far as I know"))
    with client.run("Go") as run:
        run.until("waiting")
        run.order("answer_now")
        outcome = run.until("outcome")
    assert outcome["content"] == "As far as I know" and outcome["reason"] == "asked to answer now"
    assert not path.exists()


def test_tool_that_dies_or_is_unknown_or_gets_no_json_is_told_to_the_model(client, llm):
    llm.play(
        Turn(calls=[("notes__die", "{}"), ("none", "{}"), ("notes__add", "{")]),
        call("notes__add", a=1, b=1),
        Turn("ok"),
    )
    with client.run("Go", allow=["all"]) as run:
        run.until("outcome")
    died, unknown, wrong = results(llm.asked[1][0])
    assert "ended before it answered" in died and "no tool none" in unknown and "no JSON" in wrong
    assert results(llm.asked[2][0])[-1] == "2"


def test_heavy_runs_vote_and_only_read(client, llm, tmp_path):
    path = tmp_path / "effect"
    both = Turn(
        calls=[("notes__add", '{"a": 2, "b": 3}'), ("notes__append", json.dumps({"path": str(path), "text": "x"}))]
    )
    llm.play(*[both] * 3, *[Turn("It is 5.")] * 4)
    with client.run("2 + 3?", heavy=3) as run:
        outcome = run.until("outcome")
    assert "waiting" not in run.kinds() and not path.exists()
    shown = [event["trajectories"] for event in run.events if event["kind"] == "trajectories"]
    assert all(len(each) == 3 for each in shown)  # a slow reader may miss the last: the outcome has them as well
    assert {each["state"] for each in outcome["heavy"]["trajectories"]} <= {"answered", "not needed"}
    assert (outcome["content"], outcome["reason"], outcome["heavy"]["by"]) == ("It is 5.", "answered", "aggregation")
    assert outcome["heavy"]["votes"][0]["votes"] >= 2 and outcome["calls"] >= 4 and outcome["steps"] >= 5
    assert [m["role"] for m in outcome["messages"]] == ["user", "assistant"]


def test_calls_of_several_runs_are_decided_on_one_by_one(client, llm):
    llm.play(*[call("notes__read_resource", uri="note://one")] * 2, *[Turn("It is 5.")] * 3)
    with client.run("2 + 3?", heavy=2) as run:
        first = run.until("waiting")
        wait_for(lambda: len(llm.script) == 3)  # both call
        assert first["call"] == "1/1.0"
        run.order("deny", call=first["call"])
        second = run.until("waiting")
        assert second["call"] == "2/1.0" and run.order("allow", call=first["call"]).status_code == 409
        run.order("stop")
        assert run.until("outcome")["reason"] == "stopped"
    wait_for(lambda: not any("kimi-cpu run" in thread.name for thread in threading.enumerate()))


def test_wrong_requests_are_refused_by_the_name_of_their_field(client):
    asked = {"messages": [{"role": "user", "content": "Go"}]}
    wrong = [
        ({"messages": [{"role": "assistant", "content": "Go"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"tools": []}, "tools"),
        ({"n": 2}, "n"),
        ({"heavy": 0}, "heavy"),
        ({"stream": False}, "stream"),
        ({"budget": "much"}, "budget"),
        ({"max_steps": 0}, "max_steps"),
        ({"allow": "all"}, "allow"),
        ({"temperature": -1}, "temperature"),
        ({"steps": 3}, "steps"),
    ]
    for fields, param in wrong:
        answer = client.http.post("/v1/agent/runs", json=asked | fields)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    for path in ("/v1/agent/runs/run_0/events", "/v1/agent/none"):
        assert client.http.get(path).status_code == 404
    with client.run("Go") as run:
        assert run.order("allow").json()["error"]["param"] == "call"
        assert run.order("jump").status_code == 400


def test_error_of_the_model_ends_the_run_alone(client, llm):
    def fail():
        raise kimi_cpu.errors.ContextOverflow("The prompt has 9 tokens.")

    llm.during = fail
    with client.run("Go") as run:
        assert run.until("error")["error"]["message"] == "The prompt has 9 tokens."
    llm.play(Turn("ok"))
    with client.run("Go") as run:
        assert run.until("outcome")["content"] == "ok"


def test_runs_beyond_the_servers_places_are_told_to_come_again_and_its_end_ends_them(tokenizer, tmp_path):
    path = tmp_path / "effect"
    llm, said = AgentLLM(call("notes__append", path=str(path), text="x"), tokenizer=tokenizer), []
    with serving_agent(llm, configured(tmp_path), parallel=1) as client:
        at_work = threading.Event()

        def read():
            with client.run("Go") as run:
                run.until("waiting")
                at_work.set()
                said.append(run.until("error")["error"]["message"])

        reader = threading.Thread(target=read)
        reader.start()
        assert at_work.wait(30)
        answer = client.http.post("/v1/agent/runs", json={"messages": [{"role": "user", "content": "Go"}]})
        assert answer.status_code == 429 and answer.headers["retry-after"]
    reader.join()
    assert said == ["The server is shutting down."] and llm.is_closed and not path.exists()


def test_real_model_calls_tools_and_goes_on_with_what_it_said(tmp_path):
    forced = {
        "tool_choice": {"type": "function", "function": {"name": "notes__add"}},
        "no_think": True,
        "max_tokens": 40,
    }
    llm = kimi_cpu.load(context=8192)
    with serving_agent(llm, configured(tmp_path), allow=("notes__add",)) as client:
        with client.run("Add some numbers.", max_steps=2, temperature=0, **forced) as run:
            first = run.until("outcome")
        assert (first["reason"], first["calls"]) == ("the limit of 2 steps", 2)
        with client.run("Add some numbers.", *first["messages"], "Once more.", max_steps=1, **forced) as run:
            answered = run.until("answered")
            run.until("outcome")
    assert answered["cached_tokens"] >= answered["prompt_tokens"] // 2
