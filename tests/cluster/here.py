"""An engine of this process behind what Ray's handle of an actor looks like."""

from concurrent.futures import ThreadPoolExecutor

from kimi_cpu.cluster import BatchWork, wire
from kimi_cpu.cluster.batch_actor import BatchActor
from kimi_cpu.cluster.remote import RemoteModel
from kimi_cpu.cluster.replica import Replica
from kimi_cpu.cluster.replica_actor import ReplicaActor
from kimi_cpu.cluster.replicas import Replicas
from kimi_cpu.cluster.replicated import ReplicatedModel
from kimi_cpu.cluster.work import Part, Work
from kimi_cpu.modelfile import ModelFile


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


WHOLE = Part(0, 1, 1, 1 << 30)


def work(model, **loading):
    """Work of a batch on a model with a context of 512 tokens."""
    loading = {"threads": None, "memory": None, "context": 512, "kv": None, "compute": "int8", "parallel": 4} | loading
    return BatchWork(str(model), None, loading, False, 7, {"max_tokens": 20})


def engine(model):
    """A handle of an engine that is loaded, and a model of the pool over it."""
    handle = Handle(BatchActor(work(model).packed(), WHOLE))
    loaded = wire.unpack_loaded(handle.actor.load())
    return handle, RemoteModel("here", handle, loaded.identity)


class Hosts:
    """The hosts behind a ReplicatedModel, by their names."""

    def __init__(self, names):
        self.names = names

    def close(self):
        pass


def replica(model, host):
    """A handle of an engine that is loaded, with a context of 4,096 tokens, and the front's view of it."""
    loading = work(model, context=4096).loading
    handle = Handle(ReplicaActor(Work(str(model), None, loading, False).packed(), WHOLE))
    return handle, Replica(host, handle, wire.unpack_loaded(handle.actor.load()).identity)


def replicated(model, replicas, hosts):
    """A model over replicas of a file."""
    engines = Replicas(replicas[0].context)
    for one in replicas:
        engines.add(one)
    return ReplicatedModel(ModelFile.open(model), Hosts(hosts), engines, replicas[0].context, False)
