"""An engine of this process behind what Ray's handle of an actor looks like."""

from concurrent.futures import ThreadPoolExecutor

from kimi_cpu.cluster import Work, wire
from kimi_cpu.cluster.actor import EngineActor
from kimi_cpu.cluster.remote import RemoteModel
from kimi_cpu.cluster.work import Part


class Reference:
    def __init__(self, future):
        self._future = future

    def future(self):
        return self._future


class Method:
    def __init__(self, function, threads):
        self._function, self._threads = function, threads

    def remote(self, *args):
        return Reference(self._threads.submit(self._function, *args))

    def options(self, concurrency_group):
        return self


class Handle:
    """Calls run in their order on one thread, those of `events` on another, until die()."""

    def __init__(self, actor):
        self.actor, self.is_dead = actor, False
        self._threads = {"events": ThreadPoolExecutor(1)}
        self._default = ThreadPoolExecutor(1)

    def __getattr__(self, name):
        def call(*args):
            result = getattr(self.actor, name)(*args)
            if self.is_dead:
                raise ConnectionError("The actor died.")
            return result

        return Method(call, self._threads.get(name, self._default))

    def die(self):
        self.is_dead = True
        self.actor._woken.set()

    def close(self):
        self.actor._woken.set()
        for threads in (self._default, *self._threads.values()):
            threads.shutdown()
        self.actor.close()


def work(model, **loading):
    """Work on a model with a context of 512 tokens."""
    loading = {"threads": None, "memory": None, "context": 512, "kv": None, "compute": "int8", "parallel": 4} | loading
    return Work(str(model), None, 7, {"max_tokens": 20}, loading, False)


def engine(model):
    """A handle of an engine that is loaded, and a model of the pool over it."""
    handle = Handle(EngineActor(work(model).packed(), Part(0, 1, 1, 1 << 30)))
    loaded = wire.unpack_loaded(handle.actor.load())
    return handle, RemoteModel("here", handle, loaded.identity)
