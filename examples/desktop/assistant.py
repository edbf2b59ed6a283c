"""The model's side of the window: what takes long runs on one thread of its own, and tells of itself in events."""

import json
import os
import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import kimi_cpu
from kimi_cpu.errors import KimiError, SessionError


class Event(NamedTuple):
    """kind: "loading" and "reading" with (done, in all); "ready" with the messages so far; "thinking" and "answer" with
    text; "ended" with a sentence; "failed" with a sentence."""

    kind: str
    value: object


class Assistant:
    """One conversation with one model, kept in a file. All methods return at once; events come in `events`."""

    def __init__(self, model: str | None, file: Path, **options):
        """model: a model file, or $KIMI_CPU_MODEL when None. options: of the answers, as LLM.submit takes them."""
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._file, self._options = file, options
        self._llm = self._session = self._handle = None
        self._messages: list[dict] = []
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
        if self._messages_file.exists():
            self._messages = json.loads(self._messages_file.read_text(encoding="utf-8"))
        try:
            self._session = self._llm.load_session(self._file)
        except (FileNotFoundError, SessionError):  # the messages remain; they will be computed again
            self._session = self._llm.session()
        self._tell("ready", list(self._messages))

    def _answer(self, text: str) -> None:
        if self._is_closing:
            return
        self._messages.append({"role": "user", "content": text})
        try:
            self._handle = self._llm.submit(self._messages, session=self._session, **self._options)
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
        except KimiError:
            self._messages.pop()
            raise
        finally:
            self._handle = None
        self._messages.append(turn.message())
        self._save()
        speed = turn.usage.completion_tokens / max(turn.timings.decode_s, 1e-9)
        self._tell("ended", f"{turn.finish_reason}: {turn.usage.completion_tokens} tokens, {speed:.1f} a second")

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._messages_file.with_suffix(".partial")
        partial.write_text(json.dumps(self._messages, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(partial, self._messages_file)
        self._session.save(self._file)

    @property
    def _messages_file(self) -> Path:
        return self._file.with_name(self._file.name + ".json")

    def _tell(self, kind: str, value: object) -> None:
        self.events.put(Event(kind, value))
