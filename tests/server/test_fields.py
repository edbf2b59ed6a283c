"""The same fields on every route: what each owner calls them, and what they become."""

import pytest

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"const": 1}}}
ROUTES = {  # route: the least body
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"messages": HELLO, "max_tokens": 9},
}
CHAT, RESPONSES, MESSAGES = ROUTES


def post(http, route, body):
    return http.post(route, json=ROUTES[route] | body)


@pytest.mark.parametrize(
    ("route", "form", "param"),
    [
        (CHAT, lambda f: {"response_format": f}, "response_format"),
        (RESPONSES, lambda f: {"text": {"format": f}}, "text.format"),
        (MESSAGES, lambda f: {"output_config": {"format": f}}, "output_config.format"),
    ],
    ids=list(ROUTES),
)
def test_json_object_with_a_schema_binds_the_answer_and_malformed_forms_are_refused(http, fake, route, form, param):
    assert post(http, route, form({"type": "json_object", "schema": SCHEMA})).status_code == 200
    assert SCHEMA in list(nested(fake.calls[0][2]["response_format"]))
    assert post(http, route, form({"type": "text"})).status_code == 200
    if route == CHAT:
        return  # LLM looks at it
    assert "response_format" not in fake.calls[1][2]
    for wrong, at in (
        ({}, ".type"),
        ({"type": "xml"}, ".type"),
        ({"type": "json_schema"}, ".schema"),
        ({"type": "json_object", "schema": 5}, ".schema"),
        ({"type": "json_object", "strict": True}, ".strict"),
        ({"type": "json_schema", "schema": SCHEMA, "schemas": 1}, ".schemas"),
        ({"type": "text", "schema": SCHEMA}, ".schema"),
    ):
        answer = post(http, route, form(wrong))
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param + at), wrong


def nested(value):
    """A value, and all values inside of it."""
    yield value
    if isinstance(value, dict):
        for item in value.values():
            yield from nested(item)


@pytest.mark.parametrize(
    ("route", "form"),
    [
        (CHAT, lambda e: {"reasoning_effort": e}),
        (CHAT, lambda e: {"reasoning": {"effort": e}}),
        (RESPONSES, lambda e: {"reasoning": {"effort": e}}),
        (MESSAGES, lambda e: {"output_config": {"effort": e}}),
    ],
)
def test_level_of_effort_is_a_budget_by_name(http, fake, route, form):
    told = {"none": {"no_think": True}, "minimal": 512, "low": 2048, "medium": 8192, "high": {}, "xhigh": {}, "max": {}}
    for effort, wanted in told.items():
        fake.calls.clear()
        assert post(http, route, form(effort)).status_code == 200
        ((_, _, options),) = fake.calls
        options.pop("max_tokens", None)
        assert options == ({"think_budget": wanted} if isinstance(wanted, int) else wanted), effort
    assert post(http, route, form("huge")).status_code == 400


@pytest.mark.parametrize(
    ("route", "body", "options"),
    [
        (CHAT, {"thinking": {"type": "enabled", "budget_tokens": 7}, "reasoning_effort": "low"}, {"think_budget": 7}),
        (CHAT, {"think_budget": 7, "reasoning": {"effort": "low"}}, {"think_budget": 7}),
        (CHAT, {"think_seconds": 1.5, "reasoning_effort": "low"}, {"think_seconds": 1.5}),
        (CHAT, {"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, {"no_think": True}),
        (CHAT, {"reasoning": {"enabled": False}}, {"no_think": True}),
        (CHAT, {"reasoning": {"max_tokens": 5}}, {"think_budget": 5}),
        (CHAT, {"no_think": False, "reasoning_effort": "low"}, {"think_budget": 2048}),
        (MESSAGES, {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {"no_think": True}),
    ],
    ids=str,
)
def test_what_is_said_outright_of_thinking_comes_before_a_level_of_effort(http, fake, route, body, options):
    assert post(http, route, body).status_code == 200
    assert {k: v for k, v in fake.calls[0][2].items() if k != "max_tokens"} == options


@pytest.mark.parametrize(
    ("route", "body", "param"),
    [
        (CHAT, {"no_think": True, "think_budget": 7}, "think_budget"),
        (CHAT, {"no_think": True, "think_seconds": 7}, "think_seconds"),
        (CHAT, {"reasoning_effort": "none", "thinking": {"type": "enabled"}}, "thinking.type"),
        (CHAT, {"thinking": {"type": "disabled", "budget_tokens": 9}}, "thinking.budget_tokens"),
        (CHAT, {"thinking": {"budget_tokens": 9}, "think_budget": 8}, "think_budget"),
        (CHAT, {"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, "reasoning_effort"),
        (CHAT, {"thinking": {"type": "enabled", "level": 3}}, "thinking.level"),
        (MESSAGES, {"thinking": {"type": "disabled", "budget_tokens": 9}}, "thinking.budget_tokens"),
    ],
    ids=str,
)
def test_contradictions_about_thinking_are_refused(http, fake, route, body, param):
    answer = post(http, route, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert fake.calls == []


def test_minus_one_is_no_limit_and_off_and_a_seed_like_any_other(http, fake):
    body = {"max_tokens": -1, "top_k": -1, "seed": -1}
    for same in (
        body,
        {"max_completion_tokens": -1, "top_k": -1.0, "seed": -1.0},
        {**body, "max_tokens": None, "n_predict": -1},
    ):
        fake.calls.clear()
        assert post(http, CHAT, same).status_code == 200
        assert fake.calls[0][2] == {"max_tokens": None, "top_k": 0, "seed": -1}
    assert http.post("/v1/completions", json={"prompt": "a"} | body).status_code == 200
    assert fake.calls[1][2] == {"max_tokens": None, "top_k": 0, "seed": -1}
    assert post(http, RESPONSES, {"max_output_tokens": -1}).json()["max_output_tokens"] is None
    assert post(http, MESSAGES, {"max_tokens": -1, "top_k": -1}).status_code == 200


@pytest.mark.parametrize(
    ("route", "body", "param"),
    [
        (CHAT, {"seed": True}, "seed"),
        (CHAT, {"seed": "5"}, "seed"),
        (CHAT, {"seed": 5.5}, "seed"),
        (CHAT, {"seed": 2**64}, "seed"),
        (CHAT, {"seed": -(2**63) - 1}, "seed"),
        (CHAT, {"max_tokens": -2}, "max_tokens"),
        (CHAT, {"n_predict": "many"}, "n_predict"),
        (CHAT, {"top_k": -2}, "top_k"),
        (CHAT, {"stop": ["a", ""]}, "stop"),
        (CHAT, {"logit_bias": {"5": "x"}}, "logit_bias"),
        (CHAT, {"repetition_penalty": 0}, "repetition_penalty"),
        (CHAT, {"repetition_penalty": 1.1, "repeat_penalty": 1.2}, "repeat_penalty"),
        (RESPONSES, {"max_output_tokens": "9"}, "max_output_tokens"),
        (RESPONSES, {"max_tokens": 9}, "max_tokens"),
        (RESPONSES, {"tool_choice": "any"}, "tool_choice"),
        (CHAT, {"functions": [{"name": "f"}]}, "functions"),
        (RESPONSES, {"temperature": True}, "temperature"),
        (MESSAGES, {"stop": ["END"]}, "stop"),
        (MESSAGES, {"stop_sequences": [5]}, "stop_sequences"),
        (MESSAGES, {"max_tokens": None}, "max_tokens"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_value_is_refused_under_the_name_that_the_client_gave(http, fake, route, body, param):
    answer = post(http, route, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param) and param in error["message"]
    assert fake.calls == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(http, fake, number):
    raw = b'{"messages": [{"role": "user", "content": "a"}], "temperature": %s}' % number.encode()
    answer = http.post(CHAT, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert fake.calls == []
