"""The calls of a turn: each in a thread of its own, at the same time, with a time limit."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ..errors import bounded
from .records import Status
from .results import text_of
from .tool import BadArguments, Refused, Tool, arguments_of
from .transcript import Call

MAX_COMPLAINT = 2000  # characters of an error that the model sees


@dataclass(frozen=True)
class Result:
    """How a call ended: its text, and the seconds that it took."""

    call: Call
    status: Status
    text: str
    seconds: float


def run_calls(calls: Sequence[tuple[Call, Tool, str]]) -> Iterator[Result]:
    """Makes calls; their results, in the order in which they come. Each call comes with its tool and the id that a tool
    is given. A tool that is not done in its time goes on without anybody who listens: Python ends no thread."""
    done: SimpleQueue[Result] = SimpleQueue()
    began = time.monotonic()
    for call, tool, call_id in calls:
        arguments = (done, call, tool, call_id)
        threading.Thread(target=_run, args=arguments, name=f"kimi-cpu tool {tool.name}", daemon=True).start()
    waiting = {call.id: (call, tool) for call, tool, _ in calls}
    while waiting:
        soonest = min(tool.timeout for _, tool in waiting.values())
        try:
            result = done.get(timeout=max(0.0, began + soonest - time.monotonic()))
        except Empty:
            late = [(call, tool) for call, tool in waiting.values() if tool.timeout <= soonest]
            for call, tool in late:
                del waiting[call.id]
                text = f"Error: {tool.name} was not done after {tool.timeout:g} s, and may still be at work."
                yield Result(call, "timed out", text, tool.timeout)
            continue
        if waiting.pop(result.call.id, None) is not None:
            yield result


def _run(done: SimpleQueue[Result], call: Call, tool: Tool, call_id: str) -> None:
    """Makes one call."""
    began = time.monotonic()
    status: Status = "failed"
    try:
        text = text_of(tool.call(arguments_of(call.arguments), call_id))
        status = "done"
    except Refused as e:
        text, status = f"Error: {e}", "denied"
    except BadArguments as e:
        text = f"Error: {bounded(str(e), MAX_COMPLAINT)}"
    except BaseException as e:  # a tool may raise anything, SystemExit too
        text = f"Error: {type(e).__name__}: {bounded(str(e), MAX_COMPLAINT)}"
    done.put(Result(call, status, text, time.monotonic() - began))
