"""A model that runs: its thread, and the memory that it holds until it is suspended or closed."""

import threading
from collections.abc import Callable

from ..engine import Engine, EngineThread, ParkedPages
from ..machine import interleaved, trim_heap
from ..modelfile import ModelFile
from .loading import Loaded, memory_nodes
from .options import LoadOptions, Progress
from .pressure import MemoryWatch


class Running:
    """The engine's thread over a loaded model, and all that it holds. Usable from any thread."""

    def __init__(self, file: ModelFile, loaded: Loaded, options: LoadOptions):
        self._file, self._model, self._weights, self._options = file, loaded.model, loaded.weights, options
        self.thread = EngineThread(loaded.engine, loaded.prepare, loaded.idle)
        self._parked: ParkedPages | None = None  # of the cache, while the model is suspended
        self._changing = threading.Lock()
        self._watch: MemoryWatch | None = None
        if loaded.on_loss is not None:
            loaded.on_loss(self.thread.fail)
        if loaded.weights.residency is not None or options.on_pressure is not None:
            self._watch = MemoryWatch(self._post, loaded.weights, options.on_pressure)

    @property
    def is_suspended(self) -> bool:
        """Whether the memory was given back."""
        return self._parked is not None

    def suspend(self) -> None:
        """See LLM.suspend."""
        with self._changing:
            if self._parked is None:
                block_ids = self.thread.hold(_pages_in_use)
                try:
                    self._parked = ParkedPages(self._model.pages, block_ids)
                except BaseException:
                    self.thread.go_on()
                    raise
                self._release()

    def resume(self, progress: Progress | None) -> None:
        """See LLM.resume."""
        with self._changing:
            if self._parked is not None:
                self.thread.state()  # a model that was closed has nothing to read with
                try:
                    with interleaved(memory_nodes(self._options)):
                        self._weights.read(progress)
                    self._parked.restore()
                except BaseException:
                    self._release()
                    raise
                self._parked.close()
                self._parked = None
                self.thread.go_on()

    def close(self) -> None:
        """Ends the thread and gives the memory back; nothing in a fork, whose parent has them."""
        if not self.thread.is_foreign:
            if self._watch is not None:
                self._watch.close()
            self.thread.close()
            self._weights.close()
            self._file.close()

    def _post(self, function: Callable[[], object]) -> None:
        self.thread.post(lambda engine: function())

    def _release(self) -> None:
        """Gives back what the model holds; no step runs."""
        self._model.release()
        self._weights.release()
        trim_heap()


def _pages_in_use(engine: Engine) -> list[int]:
    return engine.cache.pool.in_use
