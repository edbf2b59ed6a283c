"""An engine on a host that answers the requests of a server: ids come in, and ids go out."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from ..engine import Kind, Request, StepOutput
from ..errors import EngineDeadError
from ..llm import LLM, ExpertsState
from . import replica_wire, wire
from .actor import BEAT_S, EngineActor
from .work import Part, Work

GATHER_S = 0.005  # tokens wait so long for those of other requests
EXPERTS_S = 10.0  # between two looks at the experts, which take some 50 ms


class ReplicaActor(EngineActor):
    """An EngineActor that answers requests of ids."""

    def __init__(self, work: bytes, part: Part):
        super().__init__(Work.unpacked(work), part)
        self._requests: dict[int, Future[Request]] = {}  # that run, by their tickets; without a result yet: being begun
        self._slow = ThreadPoolExecutor(2, "kimi-cpu schemas")
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._came: list[tuple[int, StepOutput | BaseException]] = []
        self._experts: ExpertsState | None = None
        self._experts_due_s = 0.0

    def begin(self, llm: LLM, loading: Mapping[str, Any]) -> dict[str, str]:
        """See EngineActor."""
        return {"context": str(llm.context)}

    def start(self, data: bytes) -> None:
        """Begins a request: replica_wire.pack_request."""
        order = replica_wire.unpack_request(data)
        if order.fields["kind"] == Kind.IDLE.name:
            self.llm.engine.submit(order.request(self.llm.vocabulary, None))
            return
        future: Future[Request] = Future()
        with self._lock:
            self._requests[order.ticket] = future
            parent = self._requests.get(order.parent) if order.parent is not None else None
        begin = partial(self._begin, order, parent, future)
        if order.is_slow:
            self._slow.submit(begin)
        else:
            begin()

    def abort(self, ticket: int) -> None:
        """Ends a request, of which nothing more is heard."""
        with self._lock:
            future = self._requests.pop(ticket, None)
        _when_begun(future, self.llm.engine.abort)

    def end_thinking(self, ticket: int) -> None:
        """Lets the thinking of an answer end."""
        with self._lock:
            future = self._requests.get(ticket)
        _when_begun(future, self.llm.engine.end_thinking)

    def events(self) -> bytes:
        """Waits for outputs, BEAT_S at most, and a little more for others to come: replica_wire.pack_outputs, or
        wire.pack_lost."""
        if self._woken.wait(BEAT_S):
            time.sleep(GATHER_S)
            self._woken.clear()
        with self._lock:
            came, self._came = self._came, []
            outputs = [replica_wire.output_of(*one) for one in came if one[0] in self._requests]
            for output in outputs:
                if output.finish_reason is not None or output.error is not None:
                    self._requests.pop(output.ticket, None)
        try:
            return replica_wire.pack_outputs(outputs, self.llm.state(), self._latest_experts())
        except EngineDeadError as e:
            return wire.pack_lost(str(e))

    @property
    def llm(self) -> LLM:
        """The model that is loaded."""
        assert self._llm is not None, "load comes first"
        return self._llm

    def _begin(self, order: replica_wire.Order, parent: Future[Request] | None, future: Future[Request]) -> None:
        try:
            begun = None if parent is None or not parent.done() or parent.exception() else parent.result()
            request = order.request(self.llm.vocabulary, begun)
            self.llm.engine.submit(request, _Box(self._tell, order.ticket))
        except EngineDeadError:  # which `events` says
            return
        except Exception as e:  # of a guide; the others go on
            future.set_exception(e)
            self._tell(order.ticket, e)
        else:
            future.set_result(request)

    def _tell(self, ticket: int, item: StepOutput | BaseException) -> None:
        with self._lock:
            self._came.append((ticket, item))
        self._woken.set()

    def _latest_experts(self) -> ExpertsState | None:
        now_s = time.monotonic()
        if now_s >= self._experts_due_s:
            self._experts, self._experts_due_s = self.llm.experts_state(), now_s + EXPERTS_S
        return self._experts


class _Box:
    """The outbox of one request."""

    def __init__(self, tell: Callable[[int, StepOutput | BaseException], None], ticket: int):
        self._tell, self._ticket = tell, ticket

    def put(self, item: StepOutput | BaseException) -> None:
        """See engine.Outbox."""
        self._tell(self._ticket, item)


def _when_begun(future: Future[Request] | None, act: Callable[[Request], None]) -> None:
    """Acts on a request, if there is one, as soon as it has begun, unless that fails."""

    def begun(future: Future[Request]) -> None:
        if future.exception() is None:
            act(future.result())

    if future is not None:
        future.add_done_callback(begun)
