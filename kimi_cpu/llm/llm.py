"""LLM, the composition root: it binds file, model, engine and tokenizer, and is what a program holds."""

import operator
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config.field import Door
from ..config.fields import NUM_SEEDS
from ..config.parameters import read, think_options
from ..engine import EngineState, EngineThread, Request, Sampling
from ..errors import (
    AnswerError,
    ConfigError,
    ContextOverflow,
    RequestError,
    TokenizerError,
    shown,
)
from ..kernels import runtime
from ..machine import usable_memory
from ..modelfile import ModelFile
from ..plan import needs
from ..tokenizer import Tokenizer, tokenizer_of
from . import compat
from .conversation import LLMSession
from .generation import Generation, closing, explain, result_of
from .loading import BUNDLED_MODEL, LoadOptions, make_engine, model_hash, notices, num_threads, thread_notices
from .parameters import well_formed
from .reading import CANCELLED, ChatGuide, ChatReader, RawReader
from .results import ChatCompletion, Completion, Piece
from .turn import ChatOptions, ChatTurn

Progress = Callable[[int, int], None]  # (done, in all)
SAMPLING = "sampling"  # the keyword of a whole Sampling
MAX_TAIL = 64  # new tokens of a turn that attend without rebuilding keys and values of all that stands before them


def load(path: str | os.PathLike | None = None, *, progress: Progress | None = None, **options) -> "LLM":
    """A model, ready to run. path: a model file; when None, $KIMI_CPU_MODEL or else the
    bundled demonstration model. options: fields of LoadOptions.

    The kernels are made ready, which takes half a minute when they were never compiled on this machine. progress:
    called with (steps done, steps in all) meanwhile; what it raises ends the loading. Raises ModelFileError,
    ConfigError, OutOfMemory, OSError.
    """
    llm = open_model(path, **options)
    try:
        if progress is not None or not runtime.compiled():
            runtime.warmup(progress)
    except BaseException:
        llm.close()
        raise
    return llm


def open_model(path: str | os.PathLike | None = None, **options) -> "LLM":
    """As `load`, but kernels that were never compiled are as the first request needs them."""
    path = path or os.environ.get("KIMI_CPU_MODEL") or BUNDLED_MODEL
    known = {f.name for f in fields(LoadOptions)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(f"Unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    return LLM(Path(path), LoadOptions(**{k: v for k, v in options.items() if v is not None}))


class _Turn(NamedTuple):
    """What is asked: a prompt, and how to steer and to read each answer to it."""

    prompt_ids: list[int]
    params: Sampling
    reader: Callable[[ChatGuide | None], RawReader | ChatReader]
    guide: Callable[[int], ChatGuide | None]  # of the tokens that may be generated
    conversation: ChatTurn | None = None
    num_new: int = 1  # tokens at the prompt's end, 1 or more, before which all is likely to be in the cache


class LLM:
    """A loaded model. Thread-safe; close it, or use it as a context manager. In a fork of the process: ForkError.

    notices: sentences for its owner, such as that the weights are larger than the memory; usually none. needs: bytes
    of memory, and those that one token reads.
    """

    def __init__(self, path: Path, options: LoadOptions):
        runtime.claim_process()
        self._file = ModelFile.open(path)
        try:
            self.path, self.config = path, self._file.config
            self._tokenizer = tokenizer_of(self._file)
            engine, self.context = make_engine(self._file, options)
            sizes = {tensor.name: tensor.nbytes for tensor in self._file.tensors.values()}
            self.needs = needs(self.config, sizes, self.context, options.kv)
            self.notices = (*notices(path, self.needs, usable_memory()), *thread_notices(options))
        except BaseException:
            self._file.close()
            raise
        self._read_ahead = options.read_ahead
        self._thread = EngineThread(engine, prepare=lambda: runtime.configure(num_threads(options)))
        self._at_exit = weakref.finalize(self, _close, self._thread, self._file)  # also when nobody holds it any more

    def close(self) -> None:
        """Ends running requests, which get EngineDeadError, and gives the memory back. May be called again."""
        self._thread.close()
        self._at_exit.detach()
        self._file.close()

    def __enter__(self) -> "LLM":
        return self

    def __exit__(self, *exc) -> None:
        if not self._thread.is_foreign:  # a fork that leaves the block leaves the model to its parent
            self.close()

    @property
    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer; TokenizerError when it has none."""
        if self._tokenizer is None:
            raise TokenizerError(f"{self.path} cannot take text: its checkpoint had no tokenizer. Token ids work.")
        return self._tokenizer

    @property
    def _template(self) -> str | None:
        """The file's chat template; None for Kimi's own."""
        return self._file.metadata.get("tokenizer.chat_template")

    @cached_property
    def model_hash(self) -> str:
        """Names the weights, in hex."""
        return model_hash(self._file)

    def tokenize(self, text: str, special: bool = True) -> list[int]:
        """Ids of a text; special: names such as <|im_end|> become control tokens."""
        return self.tokenizer.encode(text, special=special)

    def detokenize(self, ids: list[int]) -> str:
        """Text of ids."""
        return self.tokenizer.decode(ids)

    def chat_ids(self, messages: list[dict], tools: list[dict] | None = None, **template_kwargs) -> list[int]:
        """Ids of a chat's prompt, as chat would send it: to count them, or to look at them."""
        options = ChatOptions(tools=well_formed(tools), template_kwargs=well_formed(template_kwargs))
        return ChatTurn(well_formed(messages), options, self.tokenizer, self._template).prompt_ids

    def generate(self, prompt: str | list[int], *, progress: Progress | None = None, **sampling) -> Completion:
        """The answer to a raw prompt (text, or ids), without the chat template. sampling: fields of Sampling, or a
        Sampling as `sampling`. progress: called with (tokens computed, tokens of the prompt) between steps,
        and within long ones with the share of its tokens that the layers computed so far are."""
        return result_of(self._start(self._raw(prompt, sampling))[0], progress)

    def chat(
        self,
        messages: list[dict],
        tools: list[dict] | None = None,
        session: LLMSession | None = None,
        *,
        progress: Progress | None = None,
        **options,
    ) -> ChatCompletion:
        """The next turn of a conversation. options: fields of ChatOptions and of Sampling. progress: as in generate.

        session: what was computed and generated for the conversation so far is not computed again.
        """
        return result_of(self._start(self._chat(messages, options | {"tools": tools}), session)[0], progress)

    def stream(
        self,
        prompt: str | list,
        tools: list[dict] | None = None,
        session: LLMSession | None = None,
        *,
        resume: Sequence[int] = (),
        **options,
    ) -> Iterator[Piece]:
        """generate (prompt: a text, or ids) or chat (a list of messages), piece by piece; closing it cancels.

        resume: ids that this model generated for the same request and seed before; the answer goes on from there with
        the tokens that it would have had, and its pieces begin with these.
        """
        return closing(self.submit(prompt, tools, session, resume=resume, **options))

    def submit(
        self,
        prompt: str | list,
        tools: list[dict] | None = None,
        session: LLMSession | None = None,
        *,
        resume: Sequence[int] = (),
        **options,
    ) -> Generation:
        """As stream, but returns at once with a handle to iterate, to await, to ask for its result, and to cancel."""
        return self._start(self._turn(prompt, tools, options), session, resume=resume)[0]

    create_chat_completion = compat.create_chat_completion
    create_completion = compat.create_completion

    def session(self) -> LLMSession:
        """An empty conversation, to be passed to chat and stream, and saved."""
        return LLMSession(self._thread, self.model_hash)

    def load_session(self, path: str | os.PathLike) -> LLMSession:
        """The conversation that was saved in a file. SessionError: it is corrupt, or of another model."""
        return LLMSession.load(self._thread, self.model_hash, Path(path))

    def state(self) -> EngineState:
        """How busy the engine is; answers at once. EngineDeadError: it has stopped."""
        return self._thread.state()

    def samples(self, prompt: str | list, n: int = 1, session: LLMSession | None = None, **options) -> list[Generation]:
        """n answers to one prompt, which is computed once; iterate each for its pieces. Arguments as in stream.

        With a seed, the answers have seed, seed + 1, …
        """
        if not isinstance(n, int) or n < 1:
            raise RequestError(f"n is {shown(n)}; it must be 1 or more.")
        return self._start(self._turn(prompt, None, options), session, n)

    def _start(
        self, turn: _Turn, session: LLMSession | None = None, n: int = 1, resume: Sequence[int] = ()
    ) -> list[Generation]:
        first = self._request(turn, session, 0)
        if resume and len(resume) >= first.max_tokens:
            raise RequestError(f"{len(resume)} tokens to resume with leave none of {first.max_tokens} to generate.")
        try:
            first.resume(resume)
        except Exception as e:  # of the guide
            raise AnswerError.of(e) from e
        requests = [first, *(self._request(turn, session, i, parent=first) for i in range(1, n))]

        def done(request: Request, num_tokens: int, answer: ChatCompletion | Completion) -> None:
            if session is not None:
                session.follow(request, num_tokens)
            if turn.conversation is not None and n == 1 and self._read_ahead and answer.finish_reason != CANCELLED:
                job = (turn.conversation, answer.message(), session)
                # Not a daemon: Python would end it within compiled code, which ends the process.
                with suppress(RuntimeError):  # no thread can be had; it only saves time
                    threading.Thread(target=self._prefill, args=job, name="kimi-cpu read-ahead").start()

        generations: list[Generation] = []
        try:
            for request in requests:
                generations.append(self._generation(turn, request, done if request is first else None))
        except BaseException:
            for generation in generations:
                generation.cancel()
            raise
        return generations

    def _generation(self, turn: _Turn, request: Request, done: Callable | None) -> Generation:
        end_thinking = None
        if turn.conversation is not None and turn.conversation.can_think:
            end_thinking = partial(turn.conversation.end_thinking, num_logits=self.config.vocab_size)
        return Generation(
            self._thread,
            request,
            turn.reader(request.guide),
            done=done,
            end_thinking=end_thinking,
            explain=partial(explain, self.path),
            owner=self,
        )

    def _prefill(self, conversation: ChatTurn, turn: dict, session: LLMSession | None) -> None:
        """Has what the next turn's prompt will begin with computed in idle time."""
        with suppress(Exception):  # it only saves time, whatever a template makes of the turn
            ids = conversation.following(turn)[: self.context - 1]
            forms = None if session is None else session.forms(ids)
            self._thread.submit(Request(ids, Sampling(), 0, forms=forms, idle=True))

    def _turn(self, prompt: str | list, tools: list[dict] | None, options: dict) -> _Turn:
        options = options if tools is None else options | {"tools": tools}
        is_chat = isinstance(prompt, Sequence) and len(prompt) and isinstance(prompt[0], Mapping)
        return self._chat(prompt, options) if is_chat else self._raw(prompt, options)

    def _raw(self, prompt: str | list[int], options: dict) -> _Turn:
        self._thread.require_own_process()
        options = well_formed(options)
        params = _sampling(read(options, Door.PYTHON_RAW, others=(SAMPLING,)))
        if params.stop:
            _ = self.tokenizer  # stop texts need one
        silent = frozenset() if params.ignore_eos else self._stop_ids
        has_logprobs = params.logprobs is not None
        return _Turn(
            self._ids(prompt),
            params,
            lambda _: RawReader(self._tokenizer, params.stop, silent, has_logprobs),
            lambda _: None,
        )

    def _chat(self, messages: list[dict], options: dict) -> _Turn:
        self._thread.require_own_process()
        messages, options = well_formed(messages), well_formed(options)
        given = think_options(read(options, Door.PYTHON_CHAT, others=(SAMPLING,)))
        names = {f.name for f in fields(ChatOptions)}
        chat = ChatOptions(**{k: v for k, v in given.items() if k in names})
        params = _sampling({k: v for k, v in given.items() if k not in names})
        conversation = ChatTurn(messages, chat, self.tokenizer, self._template)
        return _Turn(
            self._ids(conversation.prompt_ids),
            params,
            lambda guide: conversation.reader(params, guide),
            lambda max_tokens: conversation.guide(max_tokens, self.config.vocab_size, self._stop_ids),
            conversation,
            conversation.num_new(self._stop_ids, MAX_TAIL),
        )

    def _request(self, turn: _Turn, session: LLMSession | None, number: int, parent: Request | None = None) -> Request:
        """The number-th sample of a turn."""
        max_tokens, params = self._room_for(turn.prompt_ids, turn.params.max_tokens), turn.params
        self._require_ids(params.logit_bias or (), "logit_bias")
        if params.seed is not None:
            params = replace(params, seed=(params.seed + number) % NUM_SEEDS)
        forms = None if session is None else session.forms(turn.prompt_ids)
        guide = turn.guide(max_tokens)
        return Request(turn.prompt_ids, params, max_tokens, self._stop_ids, guide, forms, turn.num_new, parent=parent)

    def logits(self, ids: list[int]) -> np.ndarray:
        """Teacher-forced logits f32[len(ids), vocab]: row i is what follows ids[: i + 1]."""
        self._thread.require_own_process()
        ids = self._ids(list(ids))
        request = Request(ids, Sampling(), 0, logits=True)
        self._room_for(ids, 0)
        outbox, parts, done = queue.SimpleQueue(), [], False
        self._thread.submit(request, outbox)
        try:
            while not done:
                output = outbox.get()
                if isinstance(output, BaseException):
                    raise explain(self.path, output)
                parts.append(output.logits)
                done = output.finish_reason is not None
        finally:
            self._thread.abort(request)
        return np.concatenate(parts)

    def _ids(self, prompt: str | list[int]) -> list[int]:
        try:
            ids = self.tokenize(prompt) if isinstance(prompt, str) else [operator.index(i) for i in prompt]
        except TypeError as e:
            raise RequestError(f"The prompt is {shown(prompt)}; it must be a text or a list of ids.", "prompt") from e
        if not ids:
            raise RequestError("The prompt is empty; at least one token is needed.", "prompt")
        self._require_ids(ids)
        return ids

    def _require_ids(self, ids: Iterable[int], param: str | None = None) -> None:
        bad = next((i for i in ids if not 0 <= i < self.config.vocab_size), None)
        if bad is not None:
            where = "" if param is None else f"{param}: "
            message = f"{where}Token id {shown(bad)} is outside the vocabulary of {self.config.vocab_size}."
            raise RequestError(message, param)

    def _room_for(self, ids: list[int], max_tokens: int | None) -> int:
        """Tokens that may be generated after ids, at most max_tokens."""
        room = self.context - len(ids)
        if room < 0 or (room == 0 and max_tokens != 0):
            left = "" if room else ", which leaves none for the answer"
            raise ContextOverflow(  # OpenAI's words, by which agents know that they must shorten their story
                f"This model's maximum context length is {self.context} tokens; the prompt has {len(ids)}{left}. "
                "Shorten the prompt or load the model with a larger context.",
                num_tokens=len(ids),
                most=self.context if room else self.context - 1,
            )
        return room if max_tokens is None else min(room, max_tokens)

    @cached_property
    def _stop_ids(self) -> frozenset[int]:
        ids = set(self.config.eos_token_ids)
        if self._tokenizer is not None:
            ids.update(self._tokenizer.eos_ids)
        return frozenset(ids)


def _sampling(given: dict) -> Sampling:
    """Sampling of keywords, which change `sampling` if that is among them."""
    base = given.pop(SAMPLING, None) or Sampling()
    return replace(base, **given)


def _close(thread: EngineThread, file: ModelFile) -> None:
    if not thread.is_foreign:
        thread.close()
        file.close()
