"""An engine of this process behind what Ray's handle of an actor looks like, and connections as between hosts."""

import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial

from kimi_cpu.cluster import BatchWork, wire
from kimi_cpu.cluster.batch_actor import BatchActor
from kimi_cpu.cluster.channel import Channel
from kimi_cpu.cluster.remote import RemoteModel
from kimi_cpu.cluster.replica import Replica
from kimi_cpu.cluster.replica_actor import ReplicaActor
from kimi_cpu.cluster.replicas import Replicas
from kimi_cpu.cluster.replicated import ReplicatedModel
from kimi_cpu.cluster.work import Part, Work
from kimi_cpu.modelfile import ModelFile

HOST, KEY = "127.0.0.1", b"a key"


class Reference:
    def __init__(self, future):
        self._future = future

    def future(self):
        return self._future


class Run:
    """The method `run` of an actor, as Ray has it: a call that lasts until its end or the actor's."""

    def __init__(self, actor):
        self.ended = Future()
        self._actor = actor

    def options(self, concurrency_group):
        assert concurrency_group == "run"
        return self

    def remote(self):
        threading.Thread(target=self._run, daemon=True).start()
        return Reference(self.ended)

    def _run(self):
        self._actor.run()
        with suppress(InvalidStateError):  # it is dead to Ray
            self.ended.set_result(None)


class Handle:
    """An actor that runs, until die()."""

    def __init__(self, actor):
        self.actor, self.is_dead = actor, False
        self.run = Run(actor)

    def die(self):
        self.is_dead = True
        self.run.ended.set_exception(ConnectionError("The actor died."))

    def close(self):
        self.actor.close()


WHOLE = Part(0, 1, 1, 1 << 30)


def work(model, **loading):
    """Work of a batch on a model with a context of 512 tokens."""
    loading = {"threads": None, "memory": None, "context": 512, "kv": None, "compute": "int8", "parallel": 4} | loading
    return BatchWork(str(model), None, loading, False, 7, {"max_tokens": 20})


def engine(model):
    """A handle of an engine that is loaded, and a model of the pool over it."""
    return loaded(BatchActor(work(model).packed(), WHOLE), partial(RemoteModel, "here"))


def loaded(actor, remote):
    """A handle of an actor that is loaded, and what `remote` makes of a channel to it and its identity."""
    handle, told = Handle(actor), wire.unpack_loaded(actor.load(HOST, KEY))
    return handle, remote(Channel(handle, (HOST, told.port), KEY), told.identity)


class Hosts:
    """The hosts behind a ReplicatedModel, by their names."""

    def __init__(self, names):
        self.names = names

    def close(self):
        pass


def replica(model, host):
    """A handle of an engine that is loaded, with a context of 4,096 tokens, and the front's view of it."""
    loading = work(model, context=4096).loading
    return loaded(ReplicaActor(Work(str(model), None, loading, False).packed(), WHOLE), partial(Replica, host))


def replicated(model, replicas, hosts):
    """A model over replicas of a file."""
    engines = Replicas(replicas[0].context)
    for one in replicas:
        engines.add(one)
    return ReplicatedModel(ModelFile.open(model), Hosts(hosts), engines, replicas[0].context, False)
