"""A server with MCP servers over a scripted model, and a client that reads the events of its runs."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx

from kimi_cpu.errors import EngineDeadError
from kimi_cpu.llm import EngineState
from tests.agent.fake import FakeHandle, FakeLLM, Turn

from .serving import Served, serving

PROGRAM = Path(__file__).parents[1] / "agent" / "mcp_server.py"
TOKEN = "the-token"
HEADERS = {"X-Agent-Token": TOKEN}


class SlowHandle(FakeHandle):
    """A turn that stops after its pieces until it is cancelled, or its model goes on."""

    def __iter__(self):
        yield from super().__iter__()
        while not (self._cancelled or self._llm.goes_on.wait(0.005)):
            pass


class AgentLLM(FakeLLM):
    """The agent's scripted model, as a server has it. tokenizer: of a real model, for schemas. goes_on: set, unless a
    test wants to see pieces of a turn."""

    def __init__(self, *script, tokenizer):
        super().__init__(*script)
        self.path, self.tokenizer = Path("fake-model.gguf"), tokenizer
        self.config = SimpleNamespace(vocab_size=512, max_position_embeddings=4096)
        self.is_closed = self.is_dead = False
        self.goes_on = threading.Event()
        self.goes_on.set()

    def play(self, *script) -> None:
        """A new script, and nothing was asked yet."""
        self.script, self.asked, self.during, self.summary = list(script), [], None, Turn("a summary")
        self.goes_on.set()

    def submit(self, *arguments, **options):
        handle = super().submit(*arguments, **options)
        handle.__class__ = SlowHandle
        return handle

    def state(self):
        if self.is_dead:
            raise EngineDeadError("The engine has stopped: OOM")
        return EngineState(num_running=0, num_waiting=0, num_pages=8, num_free_pages=8)

    def engines(self):
        return {"": self.state()}

    def close(self):
        self.is_closed = True


def configured(folder: Path, **servers: dict) -> Path:
    """A file of MCP servers: notes, which works and runs in that folder, and those."""
    path = folder / "servers.json"
    notes = {"command": sys.executable, "args": [str(PROGRAM), "stdio"], "cwd": str(folder)}
    path.write_text(json.dumps({"mcpServers": {"notes": notes, **servers}}))
    return path


@contextmanager
def serving_agent(llm, mcp: Path, **settings) -> Iterator["Client"]:
    """Serves a model and the tools of the file of MCP servers."""
    with serving(llm, mcp=mcp, agent_token=TOKEN, **settings) as served:
        served.http.headers.update(HEADERS)
        client = Client(served)
        while served.http.get("/v1/agent/tools").status_code == 503:
            pass
        yield client


class Run:
    """The events of a run, as they come."""

    def __init__(self, http: httpx.Client, response: httpx.Response):
        self._http, self._lines = http, response.iter_lines()
        self.events: list[dict] = []
        self.ids: list[int] = []
        self.id = self.until("run")["id"]

    def until(self, kind: str) -> dict:
        """Reads on to the next event of a kind; an error counts as "error"."""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.ids.append(int(value))
            if name != "data" or value == "[DONE]":
                continue
            self.events.append({"kind": "error"} | json.loads(value))
            if self.events[-1]["kind"] == kind:
                return self.events[-1]
        raise AssertionError(f"There came no {kind}: {self.events}")

    def rest(self) -> list[str]:
        """The lines that are left."""
        return list(self._lines)

    def order(self, action: str, **fields) -> httpx.Response:
        return self._http.post(f"/v1/agent/runs/{self.id}/control", json={"action": action} | fields)

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events]


class Client:
    """What a client of the agent does."""

    def __init__(self, served: Served):
        self.served, self.http = served, served.http

    @contextmanager
    def run(self, *messages: str | dict, **fields) -> Iterator[Run]:
        """Begins a run. messages: texts are the user's."""
        asked = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
        with self.http.stream("POST", "/v1/agent/runs", json={"messages": asked} | fields) as response:
            assert response.status_code == 200, response.read()
            yield Run(self.http, response)

    @contextmanager
    def follow(self, run_id: str, start: int = 0) -> Iterator[Run]:
        """Reads the events of a run from a number on."""
        with self.http.stream("GET", f"/v1/agent/runs/{run_id}/events", params={"start": start}) as response:
            assert response.status_code == 200, response.read()
            yield Run(self.http, response)
