"""The model's side of the window: what takes long runs on one thread of its own, and tells of itself in events."""

import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import kimi_cpu
from kimi_cpu.errors import KimiError


class Event(NamedTuple):
    """kind: "loading" and "reading" with (done, in all); "ready" with the messages so far; "thinking" and "answer" with
    text; "ended" with a sentence; "failed" with a sentence."""

    kind: str
    value: object


class Assistant:
    """One conversation with one model, kept in a file. All methods return at once; events come in `events`."""

    def __init__(self, model: str | None, file: Path, **options: Any):
        """model: a model file, or $KIMI_CPU_MODEL when None. options: of the answers, as LLM.chat takes them."""
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._file, self._options = file, options
        self._llm: kimi_cpu.LLM | None = None
        self._talk: kimi_cpu.Conversation | None = None
        self._handle: kimi_cpu.Generation[kimi_cpu.ChatCompletion] | None = None
        self._is_closing = False
        self._worker = ThreadPoolExecutor(1, "assistant")
        self._worker.submit(self._guarded, self._load, model)

    def ask(self, text: str) -> None:
        """Begins an answer."""
        self._worker.submit(self._guarded, self._answer, text)

    def stop(self) -> None:
        """Ends the answer that comes; what there is of it stays."""
        if self._handle is not None:
            self._handle.cancel()

    def answer_now(self) -> None:
        """Ends the thinking."""
        if self._handle is not None:
            self._handle.answer_now()

    def close(self) -> None:
        """Ends everything; waits until the answer so far is saved."""
        self._is_closing = True
        self.stop()
        self._worker.shutdown(cancel_futures=True)
        if self._llm is not None:
            self._llm.close()

    def _guarded(self, job, *args) -> None:
        try:
            job(*args)
        except (KimiError, OSError) as e:
            self._tell("failed", str(e))

    def _load(self, model: str | None) -> None:
        self._llm = kimi_cpu.load(model, progress=lambda *at: self._tell("loading", at))
        self._talk = self._llm.conversation(self._file)
        self._tell("ready", list(self._talk.messages))

    def _answer(self, text: str) -> None:
        if self._is_closing or self._talk is None:
            return
        self._handle = self._talk.submit(text, **self._options)
        try:
            if self._is_closing:
                self.stop()
            for piece in self._handle:
                if piece.prompt_progress is not None:
                    self._tell("reading", piece.prompt_progress)
                if piece.reasoning_content:
                    self._tell("thinking", piece.reasoning_content)
                if piece.content:
                    self._tell("answer", piece.content)
            turn = self._handle.result()
        finally:
            self._handle = None
        self._talk.save()
        speed = turn.usage.completion_tokens / max(turn.timings.decode_s, 1e-9)
        self._tell("ended", f"{turn.finish_reason}: {turn.usage.completion_tokens} tokens, {speed:.1f} a second")

    def _tell(self, kind: str, value: object) -> None:
        self.events.put(Event(kind, value))
