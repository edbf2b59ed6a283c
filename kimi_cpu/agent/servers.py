"""MCP servers: their tools as tools of an agent, over stdio and streamable HTTP, by the official package.

The servers live in one event loop in a thread of its own; a call waits for its answer in the thread of the call. A
server that ends is started again by the next call.
"""

import asyncio
import json
import logging
import re
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters, stdio_client, types
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError

from .consent import SERVER
from .server_config import Config, ServerConfig, read_config
from .tool import JsonObject, Tool

CONNECT_S = 30.0
CALL_S = 120.0
STOP_S = 10.0
MAX_BYTES = 64 << 20  # of an answer over HTTP; what the model sees of it is bounded elsewhere
MAX_LISTED = 50  # resources that a description names
NO_SCHEMA: JsonObject = {"type": "object"}
logging.getLogger("mcp").addHandler(logging.NullHandler())  # it says with a traceback what becomes a sentence here


class Servers:
    """Running servers; close them, or use them as a context manager.

    tools: of all of them, named SERVER__TOOL. notices: sentences on what they offer besides, and on those that could
    not be started.
    """

    def __init__(self, config: Config, connect_s: float = CONNECT_S, call_s: float = CALL_S):
        """config: the file that other programs use as well, `{"mcpServers": {NAME: {…}}}`, or what is in it. Servers
        that do not start in connect_s seconds are left out; a call fails after call_s. ConfigError: the file
        is wrong. OSError."""
        self.tools: list[Tool] = []
        self.notices: list[str] = []
        self._limit_s = connect_s + call_s
        configs = {name: one for name, one in read_config(config).items() if not one.disabled}
        self._servers = [_Server(name, one, connect_s, call_s) for name, one in configs.items()]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kimi-cpu mcp", daemon=True)
        self._thread.start()
        try:
            self._wait(self._start())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the servers. May be called again."""
        if not self._loop.is_closed():
            with suppress(TimeoutError):
                self._wait(asyncio.wait_for(self._stop(), STOP_S))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _start(self) -> None:
        """Starts the servers at the same time; what they offer stands in the order of the configuration, so that a
        prompt always begins with the same declarations."""
        for tools, notice in await asyncio.gather(*(self._offer(server) for server in self._servers)):
            self.notices.append(notice)
            for tool in tools:
                if any(tool.name == other.name for other in self.tools):
                    self.notices.append(f"a second tool with the name {tool.name} is left out.")
                else:
                    self.tools.append(tool)

    async def _stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers))

    async def _offer(self, server: "_Server") -> tuple[list[Tool], str]:
        """The tools of a server, which is started, and a sentence on it."""
        try:
            await server.connect()
            offered = await server.offered()
        except Exception as e:
            await server.stop()
            return [], f"the MCP server {server.name} is left out: {server.reason(e)}"
        tools = [self._tool(server, tool) for tool in offered.tools]
        if offered.resources:
            tools.append(self._reading_tool(server, offered.resources))
        return tools, offered.summary(server.name)

    def _tool(self, server: "_Server", tool: types.Tool) -> Tool:
        hints = tool.annotations or types.ToolAnnotations()

        def call(arguments: JsonObject, call_id: str) -> str:
            return self._wait(server.call(tool.name, arguments))

        return Tool(
            _name(server.name, tool.name),
            tool.description or tool.title or "",
            dict(tool.input_schema),
            call,
            timeout=self._limit_s + 1,
            read_only=bool(hints.read_only_hint),
            idempotent=bool(hints.idempotent_hint),
            needs_consent=True,
        )

    def _reading_tool(self, server: "_Server", resources: list[types.Resource]) -> Tool:
        """A tool that reads a server's resources, which its description lists."""
        listed = "\n".join(f"{r.uri} {r.title or r.name}: {r.description or ''}" for r in resources[:MAX_LISTED])
        more = f"\n… and {len(resources) - MAX_LISTED} more" if len(resources) > MAX_LISTED else ""
        uri = {"type": "string", "description": "Address of the resource."}
        parameters = {"type": "object", "properties": {"uri": uri}, "required": ["uri"], "additionalProperties": False}
        return Tool(
            _name(server.name, "read_resource"),
            f"Read a resource of {server.name}:\n{listed}{more}",
            parameters,
            lambda arguments, call_id: self._wait(server.read(arguments["uri"])),
            timeout=self._limit_s + 1,
            read_only=True,
            needs_consent=True,
        )


class _Offered:
    """What a server offers."""

    def __init__(self, tools: list[types.Tool], resources: list[types.Resource], prompts: list[types.Prompt]):
        self.tools, self.resources, self.prompts = tools, resources, prompts

    def summary(self, name: str) -> str:
        """One line for a person."""
        parts = [("tools", self.tools), ("resources", self.resources), ("prompts", self.prompts)]
        told = [f"{len(items)} {kind} ({', '.join(item.name for item in items)})" for kind, items in parts if items]
        return f"the MCP server {name} offers {', '.join(told) or 'nothing'}."


class _Server:
    """One server. All of it runs in the event loop."""

    def __init__(self, name: str, config: ServerConfig, connect_s: float, call_s: float):
        self.name, self._config, self._connect_s, self._call_s = name, config, connect_s, call_s
        self._client: Client | None = None
        self._life: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._connecting = asyncio.Lock()
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - as long as the server

    async def connect(self) -> Client:
        """The client of the server, which is started if it does not run. TimeoutError, OSError, MCPError."""
        async with self._connecting:
            if self._client is None:
                self._leave = asyncio.Event()
                ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
                self._life = asyncio.create_task(self._live(ready))
                try:
                    self._client = await asyncio.wait_for(ready, self._connect_s)
                except TimeoutError:
                    await self.stop()
                    raise TimeoutError(f"it did not answer in {self._connect_s:g} s") from None
            return self._client

    async def stop(self) -> None:
        """Ends the server, if it runs."""
        client, self._client = self._client, None
        if self._life is not None:
            self._leave.set()
            if client is None:  # it is still starting, and waits for an answer
                self._life.cancel()
            with suppress(BaseException):
                await asyncio.wait_for(self._life, STOP_S / 2)
            self._life = None

    async def offered(self) -> _Offered:
        """Asks the server for what it offers."""
        client = await self.connect()
        able = client.server_capabilities
        tools = [tool async for tool in _pages(client.list_tools, "tools")] if able.tools else []
        resources = [r async for r in _pages(client.list_resources, "resources")] if able.resources else []
        prompts = [p async for p in _pages(client.list_prompts, "prompts")] if able.prompts else []
        return _Offered(tools, resources, prompts)

    async def call(self, tool: str, arguments: JsonObject) -> str:
        """The text of a result. RuntimeError: the tool says that it failed, or the server did not answer."""
        async with self._answering() as client:
            result = await client.call_tool(tool, arguments)
        text = "\n".join(_text(block) for block in result.content)
        if not result.content and result.structured_content is not None:
            text = json.dumps(result.structured_content, ensure_ascii=False)
        if result.is_error:
            raise RuntimeError(text or "the tool failed without a word")
        return text or "done"

    async def read(self, uri: str) -> str:
        """The text of a resource."""
        async with self._answering() as client:
            result = await client.read_resource(uri)
        return "\n".join(_contents(part) for part in result.contents)

    def reason(self, error: BaseException) -> str:
        """Why it failed, with the last line that the server wrote to stderr."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        return f"{error or type(error).__name__}" + (f" ({lines[-1]})" if lines else "")

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[Client]:
        """The client for one request. RuntimeError: the server cannot be started or reached, ends, or does not answer
        as it should."""
        try:
            client = await self.connect()
        except Exception as e:
            raise RuntimeError(f"the server {self.name} cannot be reached: {self.reason(e)}") from e
        try:
            yield client
        except MCPError as e:
            if e.code == types.CONNECTION_CLOSED:
                await self.stop()
            raise RuntimeError(self._failure(e)) from e
        except ValidationError as e:
            wrong = e.errors()[0]
            at = ".".join(map(str, wrong["loc"]))
            raise RuntimeError(f"the answer of the server {self.name} is no result: {at}: {wrong['msg']}") from e

    def _failure(self, error: MCPError) -> str:
        """What went wrong with a request, in a sentence for the model."""
        does = "starts it" if self._config.url is None else "connects again"
        told = {
            types.CONNECTION_CLOSED: f"ended before it answered; the next call {does}",
            types.REQUEST_TIMEOUT: f"did not answer in {self._call_s:g} s",
            types.PARSE_ERROR: "answered with what is no JSON",
        }
        return f"the server {self.name} {told[error.code]}" if error.code in told else str(error)

    async def _live(self, ready: asyncio.Future[Client]) -> None:
        """Runs the server until it is to leave. What is opened here is closed here, in the same task."""
        try:
            async with (
                self._transport() as transport,
                Client(transport, read_timeout_seconds=self._call_s) as client,
            ):
                if not ready.done():
                    ready.set_result(client)
                await self._leave.wait()
        except BaseException as e:
            if not ready.done():
                ready.set_exception(e if isinstance(e, Exception) else RuntimeError(str(e)))

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Transport]:
        config = self._config
        if config.command is not None:
            yield stdio_client(
                StdioServerParameters(
                    command=config.command,
                    args=config.args,
                    env=config.env,
                    cwd=config.cwd,
                    encoding_error_handler="replace",  # a line that is no UTF-8 is no JSON, and is passed over
                ),
                errlog=self._log,
            )
            return
        assert config.url is not None
        async with httpx2.AsyncClient(headers=config.headers, timeout=self._call_s, follow_redirects=True) as http:
            yield streamable_http_client(config.url, http_client=http, max_sse_event_size=MAX_BYTES)


async def _pages(ask: Any, field: str) -> AsyncIterator[Any]:
    """All items of a list that comes in pages."""
    cursor = None
    while True:
        page = await ask(cursor=cursor)
        for item in getattr(page, field):
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return


def _text(block: types.ContentBlock) -> str:
    """A part of a result as text; what is none is said."""
    if isinstance(block, types.TextContent):
        return block.text
    if isinstance(block, types.EmbeddedResource):
        return _contents(block.resource)
    if isinstance(block, types.ResourceLink):
        return f"[resource {block.uri} {block.title or block.name}]"
    return f"[{block.mime_type}, {len(block.data) * 3 // 4:,} bytes; only text can be read here]"


def _contents(resource: types.TextResourceContents | types.BlobResourceContents) -> str:
    if isinstance(resource, types.TextResourceContents):
        return resource.text
    kind = resource.mime_type or "data"
    return f"[{resource.uri}, {kind}, {len(resource.blob) * 3 // 4:,} bytes; only text can be read here]"


def _name(server: str, tool: str) -> str:
    return re.sub(r"[^\w.-]", "_", f"{server}{SERVER}{tool}")[:128]
