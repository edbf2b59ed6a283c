"""The paths of the agent: its tools, and runs that call them with a client's consent."""

from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Header, Query
from pydantic import Field

from ..agent import MAX_STEPS, Agent
from ..config.field import Door
from ..config.parameters import chat_keywords
from ..errors import ConfigError, RequestError
from .agent_run import AgentRun
from .agents import Agents
from .body import Body, Items, JsonRoute, body_at, text_of
from .body import JsonRequest as Request
from .completions import ChatMessage
from .errors import ApiError, error_body
from .events import EventStream, event
from .guard import AGENT_PREFIX
from .reply import new_id
from .routes import service_of

agent_router = APIRouter(route_class=JsonRoute, prefix=AGENT_PREFIX, tags=["agent"])


class RunBody(body_at(Door.CHAT)):
    """A task with the conversation before it, whose last message is the task. allow: names of tools that need no
    consent, in which * stands for anything; "all" allows all. The other fields are those of a chat, for each turn."""

    fixed: ClassVar = {"stream": (True,), "n": (1,), "tools": (), "logprobs": (False,)}

    messages: Items[ChatMessage] = Field(min_length=1)
    allow: Items[str] = []
    max_steps: int = Field(MAX_STEPS, ge=1)
    budget: str | Items[str] | None = None

    def task(self) -> str:
        """The text of the last message. RequestError: it is no text of the user."""
        last = len(self.messages) - 1
        if self.messages[last].get("role") != "user":
            raise RequestError(f"messages[{last}].role must be user: the last message is the task.")
        return text_of(self.messages[last].get("content"), f"messages[{last}].content")


@agent_router.get("/tools")
async def tools(request: Request) -> dict:
    """The tools of the MCP servers, and sentences on what else the servers offer, or why they are left out."""
    agents = _agents_of(request)
    consent = agents.consent()
    data = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "read_only": tool.read_only,
            "allowed": consent.covers(tool),
        }
        for tool in agents.tools
    ]
    return {"object": "list", "data": data, "notices": agents.notices}


@agent_router.post("/runs")
async def begin(request: Request, body: RunBody) -> EventStream:
    """Work on a task with the tools, step by step, as server-sent events."""
    agents, service = _agents_of(request), service_of(request)
    task = body.task()
    options = chat_keywords(body.given())
    heavy = options.pop("heavy", 1)
    try:
        agent = Agent(service.llm, agents.tools, max_steps=body.max_steps, budget=body.budget, **options)
    except ConfigError as e:
        raise ApiError(400, str(e), param="budget") from e
    run = AgentRun(new_id("run_"), agent, agents.consent(body.allow), body.messages[:-1], task, heavy)
    agents.add(run)
    return _events(request, agents, run, 0)


@agent_router.get("/runs/{run_id}/events")
async def follow(
    request: Request,
    run_id: str,
    start: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> EventStream:
    """The events of a run from a number on, or those behind Last-Event-ID."""
    agents = _agents_of(request)
    return _events(request, agents, agents.find(run_id), start if last_event_id is None else last_event_id + 1)


class RunOrder(Body):
    """An order for a run. call: the call that is decided on."""

    action: Literal["allow", "always", "deny", "answer_now", "stop"]
    call: str | None = None


@agent_router.post("/runs/{run_id}/control")
async def control(request: Request, run_id: str, body: RunOrder) -> dict:
    """Decide on the call that waits: allow it, allow its tool always in this run, or deny it. Or have the model answer
    now, or stop the run."""
    run = _agents_of(request).find(run_id)
    if body.action == "stop":
        run.stop()
    elif body.action == "answer_now":
        run.answer_now()
    elif body.call is None:
        raise ApiError(400, "call is missing.", param="call")
    else:
        run.decide(body.call, body.action)
    return {"success": True}


def _agents_of(request: Request) -> Agents:
    agents = service_of(request).agents
    assert agents is not None
    return agents


def _events(request: Request, agents: Agents, run: AgentRun, start: int) -> EventStream:
    agents.attach(run)
    return EventStream(
        run.log.read(start),
        service_of(request).settings.ping_s,
        lambda e: event(error_body(e)),
        lambda: agents.detach(run),
    )
