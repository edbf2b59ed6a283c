"""The paths of the API: each checks a body, makes questions of it and chooses the writer of the answer."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import AliasChoices, Field

from ..errors import EngineStartingError
from ..llm import TextModel
from .body import Body, Items, JsonRoute
from .body import JsonRequest as Request
from .completions import ChatBody, ChatWriter, CompletionBody, CompletionWriter
from .errors import ApiError
from .messages import CountBody, MessagesBody, MessagesWriter
from .reply import new_id, reply
from .responses import ResponsesBody, ResponsesWriter
from .service import Service

PAGE = Path(__file__).parent / "page"
MAX_CHARACTERS = 4_000_000  # of a text to tokenise; the longest context has a quarter of them in English
PART = 10_000  # items that are written as JSON at once
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STARTED_S = int(time.time())

router = APIRouter(route_class=JsonRoute)


def service_of(request: Request) -> Service:
    """The service behind the application that got a request."""
    return request.app.state.service


@router.post("/v1/chat/completions", tags=["OpenAI"])
async def chat_completions(request: Request, body: ChatBody) -> Any:
    """The next turn of a conversation, whole or as server-sent events."""
    service, answer_id = service_of(request), new_id("chatcmpl-")
    llm = service.llm
    writer = ChatWriter(answer_id, service.model_id, _fingerprint(service), body, llm.tokenizer.token_bytes)
    questions = [await request.beside(body.question)]
    return await reply(request, service, answer_id, questions, writer, body.stream)


class ControlBody(Body):
    """An order for an answer that is being generated."""

    id: str
    action: Literal["reasoning_end"]


@router.post("/v1/chat/completions/control", tags=["llama.cpp"])
async def control(request: Request, body: ControlBody) -> dict:
    """End the thinking of an answer that is being streamed, so that it answers now."""
    service_of(request).find(body.id).end_thinking()
    return {"success": True}


@router.post("/v1/completions", tags=["OpenAI"])
async def completions(request: Request, body: CompletionBody) -> Any:
    """A raw text, or ids, gone on with."""
    service, answer_id = service_of(request), new_id("cmpl-")
    names = (answer_id, service.model_id, _fingerprint(service))
    writer = await request.beside(CompletionWriter, *names, body, service.llm)
    questions = await request.beside(body.questions)
    return await reply(request, service, answer_id, questions, writer, body.stream)


@router.post("/v1/responses", tags=["OpenAI"])
async def responses(request: Request, body: ResponsesBody) -> Any:
    """The Responses API, without a store."""
    service, answer_id = service_of(request), new_id("resp_")
    writer = ResponsesWriter(answer_id, service.model_id, body, service.llm.tokenizer.token_bytes)
    questions = [await request.beside(body.question)]
    return await reply(request, service, answer_id, questions, writer, body.stream)


@router.post("/v1/messages", tags=["Anthropic"])
async def messages(request: Request, body: MessagesBody) -> Any:
    """The next message, in Anthropic's shape."""
    service, answer_id = service_of(request), new_id("msg_")
    writer = MessagesWriter(answer_id, service.model_id, body.shows_thinking)
    questions = [await request.beside(body.question)]
    return await reply(request, service, answer_id, questions, writer, body.stream)


@router.post("/v1/messages/count_tokens", tags=["Anthropic"])
async def count_tokens(request: Request, body: CountBody) -> dict:
    """Tokens of the prompt that a request for the next message would have."""
    service = service_of(request)

    def count() -> int:
        question = body.question()
        assert isinstance(question.prompt, list)
        tools = None if question.options.get("tool_choice") == "none" else question.options.get("tools")
        return len(service.llm.chat_ids(service.memory.restored(question.prompt), tools=tools))

    return {"input_tokens": await request.beside(count)}


@router.get("/v1/models", tags=["OpenAI"])
async def models(request: Request) -> dict:
    """The one model that is served."""
    return {"object": "list", "data": [_model(service_of(request))]}


@router.get("/v1/models/{model}", tags=["OpenAI"])
async def model(request: Request, model: str) -> dict:
    """The model, if that is its name."""
    service = service_of(request)
    if model != service.model_id:
        message = f"There is no model {model!r} here; this server has {service.model_id!r}."
        raise ApiError(404, message, param="model", code="model_not_found")
    return _model(service)


class TokenizeBody(Body):
    """A text. special: names of control tokens in it become control tokens. add_special has no effect: the vocabulary
    has no token that is put before a text."""

    fixed: ClassVar = {"add_special": (True, False), "add_special_tokens": (True, False)}

    content: str | None = Field(None, max_length=MAX_CHARACTERS)
    prompt: str | None = Field(None, max_length=MAX_CHARACTERS, description="vLLM's name of content.")
    special: bool = Field(True, validation_alias=AliasChoices("special", "parse_special"))
    with_pieces: bool = False


@router.post("/tokenize", tags=["llama.cpp"])
@router.post("/v1/tokenize", tags=["llama.cpp"])
async def tokenize(request: Request, body: TokenizeBody) -> Response:
    """Ids of a text."""
    text = body.content if body.content is not None else body.prompt
    if text is None:
        raise ApiError(400, "content is missing.", param="content")
    answer = await request.beside(_tokens, service_of(request).llm, text, body.special, body.with_pieces)
    return Response(answer, media_type="application/json")


def _tokens(llm: TextModel, text: str, special: bool, with_pieces: bool) -> bytes:
    """The body of the answer. Its list is written in parts, because all others wait while one is written."""
    ids, parts = llm.tokenize(text, special=special), []
    for start in range(0, len(ids), PART):
        part: list = ids[start : start + PART]
        if with_pieces:
            part = [{"id": i, "piece": llm.tokenizer.token_bytes(i).decode("utf-8", errors="replace")} for i in part]
        parts.append(json.dumps(part, ensure_ascii=False)[1:-1])
    return f'{{"tokens":[{", ".join(parts)}],"count":{len(ids)},"max_model_len":{llm.context}}}'.encode()


class DetokenizeBody(Body):
    """Ids."""

    tokens: Items[int]


@router.post("/detokenize", tags=["llama.cpp"])
@router.post("/v1/detokenize", tags=["llama.cpp"])
async def detokenize(request: Request, body: DetokenizeBody) -> Response:
    """The text of ids."""
    return await request.beside(_text, service_of(request).llm, body.tokens)


def _text(llm: TextModel, ids: list[int]) -> Response:
    text = llm.detokenize(ids)
    return JSONResponse({"content": text, "prompt": text})


@router.get("/health", tags=["operation"])
@router.get("/v1/health", tags=["operation"])
async def health(request: Request) -> JSONResponse:
    """200 when requests are served; 503 while the model is loading, and after the engine has died."""
    service = service_of(request)
    engines = service.llm.engines()
    if all(state is None for state in engines.values()):
        raise EngineStartingError("No engine is ready; one is being started.")
    if service.settings.replicas is None:
        return JSONResponse({"status": "ok"})
    replicas = {name: "not ready" if state is None else "ready" for name, state in engines.items()}
    return JSONResponse({"status": "ok", "replicas": replicas})


@router.get("/metrics", tags=["operation"])
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    service = service_of(request)
    experts = await asyncio.to_thread(service.llm.experts)  # some 50 ms
    return Response(service.metrics.text(service.llm.engines(), experts), media_type=METRICS_TYPE)


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The chat page."""
    return FileResponse(PAGE / "index.html")


def _model(service: Service) -> dict:
    llm = service.llm
    meta = {"n_ctx": llm.context, "n_vocab": llm.config.vocab_size, "n_ctx_train": llm.config.max_position_embeddings}
    return {
        "id": service.model_id,
        "object": "model",
        "created": STARTED_S,
        "owned_by": "kimi-cpu",
        "max_model_len": llm.context,
        "meta": meta,
    }


def _fingerprint(service: Service) -> str:
    """Names the weights."""
    return f"kimi-cpu-{service.llm.model_hash[:12]}"
