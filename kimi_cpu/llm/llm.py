"""LLM, the composition root: it binds file, model, engine and tokenizer, and is what a program holds."""

import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..engine import EngineState, Kind, Request, Sampling
from ..errors import ConfigError, NonFiniteLogits
from ..kernels import runtime
from ..modelfile import ModelFile
from ..residency import ExpertsState
from . import loading
from .answering import Answering
from .decoding import explain, logits_of
from .options import LoadOptions, Progress
from .parameters import file_defaults, room_for
from .running import Running
from .text_model import TextModel
from .vocabulary import Vocabulary


class LLM(TextModel):
    """A loaded model. Thread-safe; close it, or use it as a context manager. In a fork of the process: ForkError.

    path, config, context: see TextModel. notices: sentences for its owner, such as that the weights are larger than the
    memory; usually none. needs: bytes of memory, and those that one token reads.
    """

    def __init__(
        self,
        path: Path,
        options: LoadOptions,
        progress: Progress | None = None,
        make: loading.MakeEngine = loading.make_engine,
    ):
        """make: how an engine is made, for a model that runs elsewhere."""
        runtime.claim_process()
        file = ModelFile.open(path)
        try:
            vocabulary, defaults = Vocabulary.of(file), file_defaults(file)
            loaded = make(file, options, progress)
        except BaseException:
            file.close()
            raise
        self.needs, self.notices, self._expert_uses = loaded.needs, loaded.notices, loaded.uses
        self._weights = loaded.weights
        self._running = Running(file, loaded, options)
        self._thread = self._running.thread
        answering = Answering(self._thread, vocabulary, path, loaded.context, defaults, options.read_ahead)
        super().__init__(file, answering, loaded.weights.residency)
        self._at_exit = weakref.finalize(self, self._running.close)  # also when nobody holds it any more

    def close(self) -> None:
        """Ends running requests, which get EngineDeadError, and gives the memory back. May be called again."""
        self._thread.close()
        self._at_exit()

    def suspend(self) -> None:
        """Gives all memory back that can be: weights, activations, and the cache, whose pages go to a file without a
        name in $XDG_CACHE_HOME/kimi-cpu. Returns when it is given back; a second call does nothing.

        Requests that run stop within a layer, and others may come: they wait, and go on after `resume` with the tokens
        that they would have had; sessions stay as they are. Saving or loading one meanwhile: SuspendedError. OutOfDisk:
        the cache cannot be written, and the model goes on.
        """
        self._running.suspend()

    def resume(self, progress: Progress | None = None) -> None:
        """Takes the memory again, and reads what was in it; does nothing unless the model is suspended.

        progress: as in load, of the weights that are read. ModelFileError, and what progress raises: it is still
        suspended, and can be asked again.
        """
        self._running.resume(progress)

    @property
    def is_suspended(self) -> bool:
        """Whether its memory was given back."""
        return self._running.is_suspended

    def __repr__(self) -> str:
        return f"<LLM {self.path}, context of {self.context} tokens>"

    def __enter__(self) -> "LLM":
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._thread.is_foreign:  # a fork that leaves the block leaves the model to its parent
            self.close()

    def engines(self) -> dict[str, EngineState | None]:
        """See TextModel: the one engine."""
        return {"": self.state()}

    def experts(self) -> dict[str, ExpertsState]:
        """See TextModel; some 50 ms."""
        state = self.experts_state()
        return {} if state is None else {"": state}

    def experts_state(self) -> ExpertsState | None:
        """How many of the experts that were needed were in memory, and what was read; None when all of them are. Of a
        model in stages: of the stages that read experts from disk, together. EngineDeadError: a stage is gone."""
        return self._weights.experts()

    def expert_uses(self) -> np.ndarray:
        """i64[layers, experts]: the tokens, of prompts and answers, that used each routed expert since the model was
        loaded; layers without experts have zeros. ConfigError: it was loaded without record_experts."""
        if self._expert_uses is None:
            raise ConfigError("experts were not recorded; load the model with record_experts=True.")
        return self._expert_uses.counts.copy()

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        """Teacher-forced logits f32[len(ids), vocab]: row i is what follows ids[: i + 1]."""
        self._thread.require_own_process()
        prompt_ids = self.vocabulary.ids(list(ids))
        room_for(len(prompt_ids), self.context, 0)
        try:
            return logits_of(self._thread, Request(prompt_ids, Sampling(), 0, kind=Kind.LOGITS))
        except NonFiniteLogits as e:
            raise explain(self.path, e) from e
