"""Rendering, tokenising and compiling, beside the event loop: what takes long does not hold up what does not."""

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import Call

MAX_SMALL = 50_000  # characters of a request, about 20 ms of tokenising
MAX_MEDIUM = 1_000_000  # about as long as its schemas may take, a second
SCHEMAS = ("tools", "response_format")
TEXTS = (*SCHEMAS, "template_kwargs")
NUM_KNOWN = 32  # requests' schemas, whose grammars the model still has as a rule


class Preparation:
    """Begins calls on three groups of threads: small ones, whose schemas were compiled before; medium ones; large."""

    def __init__(self):
        self._small = ThreadPoolExecutor(4, "kimi-cpu small request")
        self._medium = ThreadPoolExecutor(2, "kimi-cpu medium request")
        self._large = ThreadPoolExecutor(2, "kimi-cpu large request")
        self._known: dict[str, None] = {}  # schemas as JSON, the latest last

    async def run(self, call: "Call", work: Callable[[], Any]) -> Any:
        """What work(), which begins the call, returns; cancelled while it waits, it is not begun."""
        size = _size([call.prompt, *(call.options.get(name) for name in TEXTS)])
        schemas = _schemas(call.options) if size <= MAX_SMALL else None
        if size <= MAX_SMALL and (schemas is None or schemas in self._known):
            workers = self._small
        else:
            workers = self._medium if size <= MAX_MEDIUM else self._large
        prepared = await asyncio.get_running_loop().run_in_executor(workers, work)
        if schemas is not None:
            self._known.pop(schemas, None)
            self._known[schemas] = None
            if len(self._known) > NUM_KNOWN:
                del self._known[next(iter(self._known))]
        return prepared

    def close(self) -> None:
        """Begins nothing more."""
        for workers in (self._small, self._medium, self._large):
            workers.shutdown(wait=False, cancel_futures=True)


def _schemas(options: Mapping[str, Any]) -> str | None:
    """What the request has to be compiled, as JSON; None where there is nothing."""
    schemas = {name: options[name] for name in SCHEMAS if options.get(name)}
    return json.dumps(schemas) if schemas else None


def _size(value: object) -> int:
    """Characters and values in it; stops counting where it is large."""
    size, pending = 0, [value]
    while pending and size <= MAX_MEDIUM:
        value = pending.pop()
        size += len(value)
        if isinstance(value, Mapping):
            pending += value
            value = value.values()
        if not isinstance(value, str):
            pending += (part for part in value if isinstance(part, str | list | Mapping))
    return size
