"""The OpenAPI description: it is what the server does."""

import jsonschema
import pytest

PATHS = {
    "/v1/chat/completions",
    "/v1/chat/completions/control",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/{model}",
    "/tokenize",
    "/v1/tokenize",
    "/detokenize",
    "/v1/detokenize",
    "/health",
    "/v1/health",
    "/metrics",
}


@pytest.fixture(scope="module")
def description(_fake_server):
    return _fake_server[1].http.get("/openapi.json").json()


def test_every_path_is_described_and_wrong_bodies_are_400(description):
    assert set(description["paths"]) == PATHS
    for operations in description["paths"].values():
        for operation in operations.values():
            assert "400" in operation["responses"] and "422" not in operation["responses"]
            assert operation["description"]


def test_errors_are_as_described(description, http):
    for path, status in (("/v1/completions", 400), ("/v1/chat/completions/control", 404)):
        answer = http.post(path, json={"id": "x", "action": "reasoning_end"})
        assert answer.status_code == status
        described = description["paths"][path]["post"]["responses"][str(status)]
        jsonschema.validate(answer.json(), described["content"]["application/json"]["schema"])
