"""A model whose engines run on the hosts of a cluster: its texts are made and read here, its tokens there."""

from collections.abc import Callable
from pathlib import Path

from ..llm import EngineState, ExpertsState, TextModel
from ..llm.answering import Answering
from ..llm.parameters import file_defaults
from ..llm.vocabulary import Vocabulary
from ..modelfile import ModelFile
from .actor import weights_of
from .hosts import Hosts
from .replica import Replica
from .replica_actor import ReplicaActor
from .replicas import Replicas
from .seat import Role
from .work import Work


class ReplicatedModel(TextModel):
    """See the module. What it cannot do that one of this process can: keep sessions in files, and give logits."""

    def __init__(self, file: ModelFile, hosts: Hosts[Replica], replicas: Replicas, context: int, reads_ahead: bool):
        """file: of which the header and the tokenizer are used. Hosts add to the replicas, and end them."""
        vocabulary, defaults = Vocabulary.of(file), file_defaults(file)
        super().__init__(file, Answering(replicas, vocabulary, file.path, context, defaults, reads_ahead))
        self._hosts, self._replicas = hosts, replicas

    def close(self) -> None:
        """See TextModel; ends the engines."""
        self._replicas.fail(RuntimeError("The model was closed."))
        self._hosts.close()
        self._file.close()

    def engines(self) -> dict[str, EngineState | None]:
        """See TextModel: one for each host that has an engine, or is to have one."""
        self.state()
        ready = {name: replica.state for name, replica in self._replicas.ready.items()}
        return dict(sorted((dict.fromkeys(self._hosts.names) | ready).items()))

    def experts(self) -> dict[str, ExpertsState]:
        """See TextModel; of some seconds ago."""
        return {name: state for name, replica in self._replicas.ready.items() if (state := replica.experts) is not None}


def open_replicas(path: Path, work: Work, num_replicas: int, tell: Callable[[str], None]) -> ReplicatedModel:
    """A model with so many engines at most, one for each place that the cluster offers, as soon as the first of them is
    ready; others join. This process is a driver of the cluster: see connection.connected.

    path: of the same file on this host. tell: takes sentences for the person who runs this, from any thread.
    ConfigError: no host can take part. ModelFileError, OSError.
    """
    file = ModelFile.open(path)
    hosts = None
    try:
        file.require_native()
        hosts = Hosts(work, Role(ReplicaActor, Replica), tell, num_replicas, weights_of(file))
        first = hosts.first()
        replicas = Replicas(first.context)
        replicas.add(first)
        reads_ahead = work.loading["read_ahead"]
        model = ReplicatedModel(file, hosts, replicas, first.context, reads_ahead)
    except BaseException:
        if hosts is not None:
            hosts.close()
        file.close()
        raise
    hosts.follow(replicas)
    return model
