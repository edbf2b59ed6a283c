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
from . import replica_wire
from .actor import EngineActor
from .replica_wire import Order, Say
from .work import Part, Work

EXPERTS_S = 10.0  # between two looks at the experts, which take some 50 ms


class ReplicaActor(EngineActor):
    """An EngineActor that answers requests of ids."""

    gather_s = 0.005

    def __init__(self, work: bytes, part: Part):
        super().__init__(Work.unpacked(work), part)
        self._requests: dict[int, Future[Request]] = {}  # that run, by their tickets; without a result yet: being begun
        self._slow = ThreadPoolExecutor(2, "kimi-cpu schemas")
        self._lock = threading.Lock()
        self._came: list[tuple[int, StepOutput | BaseException]] = []
        self._experts: ExpertsState | None = None
        self._experts_due_s = 0.0

    def begin(self, llm: LLM, loading: Mapping[str, Any]) -> dict[str, str]:
        """See EngineActor."""
        return {"context": str(llm.context)}

    def take(self, message: list[Any]) -> None:
        """See EngineActor: replica_wire.Say."""
        match message:
            case [Say.START, *values]:
                self._start(Order(*values))
            case [Say.ABORT, ticket]:
                self._abort(ticket)
            case [Say.END_THINKING, ticket]:
                with self._lock:
                    future = self._requests.get(ticket)
                _when_begun(future, self.llm.engine.end_thinking)

    def told(self) -> bytes:
        """See EngineActor: replica_wire.pack_outputs."""
        with self._lock:
            came, self._came = self._came, []
            outputs = [replica_wire.output_of(*one) for one in came if one[0] in self._requests]
            for output in outputs:
                if output.finish_reason is not None or output.error is not None:
                    self._requests.pop(output.ticket, None)
        return replica_wire.pack_outputs(outputs, self.llm.state(), self._latest_experts())

    @property
    def llm(self) -> LLM:
        """The model that is loaded."""
        assert self._llm is not None, "load comes first"
        return self._llm

    def _start(self, order: Order) -> None:
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

    def _abort(self, ticket: int) -> None:
        """Nothing more is heard of it."""
        with self._lock:
            future = self._requests.pop(ticket, None)
        _when_begun(future, self.llm.engine.abort)

    def _begin(self, order: Order, parent: Future[Request] | None, future: Future[Request]) -> None:
        try:
            begun = None if parent is None or not parent.done() or parent.exception() else parent.result()
            request = order.request(self.llm.vocabulary, begun)
            self.llm.engine.submit(request, _Box(self._tell, order.ticket))
        except EngineDeadError:  # which `told` says
            return
        except Exception as e:  # of a guide; the others go on
            future.set_exception(e)
            self._tell(order.ticket, e)
        else:
            future.set_result(request)

    def _tell(self, ticket: int, item: StepOutput | BaseException) -> None:
        with self._lock:
            self._came.append((ticket, item))
        self.wake()

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
