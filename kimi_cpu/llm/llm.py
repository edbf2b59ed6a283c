"""LLM, the composition root: it binds file, model, engine and tokenizer, and is what a program holds."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path

import numpy as np

from ..chat.deltas import Delta, join
from ..engine import Engine, EngineThread, Request, Sampling
from ..errors import ConfigError, ContextOverflow, ModelFileError, RequestError, TokenizerError
from ..kernels import runtime
from ..model import PAGE_TOKENS, Kimi, KVCache
from ..model.weights import bind
from ..modelfile import HASHES, ModelFile
from ..tokenizer import Tokenizer
from .conversation import ChatOptions, Conversation
from .generation import Generation
from .reading import RawReader
from .results import ChatCompletion, Completion, Piece, Timings, Usage
from .session import LLMSession

COMPUTE = ("int8", "f32")
KV = {"int8": ("f16",), "f32": ("f16", "f32")}  # cache types by compute
DEFAULT_CHUNK = 512  # prompt tokens a step: experts are read once a step, buffers stay below 100 MiB at K2's widths


def load(
    path: str | os.PathLike | None = None,
    threads: int | None = None,
    context: int | None = None,
    kv: str | None = None,
    compute: str = "int8",
    chunk: int = DEFAULT_CHUNK,
) -> "LLM":
    """A model, ready to run. path: a model file, or $KIMI_CPU_MODEL when None.

    threads: default one a physical core. context: tokens a request may hold, default the model's own. kv: cache type.
    compute: "int8" (activations rounded to 8 bits per 32) or "f32" (exact). chunk: prompt tokens a step.
    Raises ModelFileError, ConfigError, OutOfMemory.
    """
    path = path or os.environ.get("KIMI_CPU_MODEL")
    if not path:
        raise ConfigError("No model was named. Pass a file, or set KIMI_CPU_MODEL.")
    return LLM(Path(path), threads=threads, context=context, kv=kv, compute=compute, chunk=chunk)


class LLM:
    """A loaded model. Thread-safe; close it, or use it as a context manager."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int | None = None,
        context: int | None = None,
        kv: str | None = None,
        compute: str = "int8",
        chunk: int = DEFAULT_CHUNK,
    ):
        kv = kv or "f16"
        if compute not in COMPUTE:
            raise ConfigError(f"compute is {compute!r}; it must be one of {', '.join(COMPUTE)}.")
        if kv not in KV[compute]:
            raise ConfigError(f"kv is {kv!r}; with compute {compute} it must be one of {', '.join(KV[compute])}.")
        if chunk < 1 or (threads is not None and threads < 1):
            raise ConfigError("chunk and threads must be 1 or more.")
        self._file = ModelFile.open(path)
        try:
            self.path, self.config = path, self._file.config
            self.context = self._context(context)
            self._tokenizer, self._no_tokenizer = _tokenizer_of(self._file)
            weights = bind(self._file, self.config)
            model = Kimi(self.config, weights, max_tokens=min(chunk, self.context), int8=compute == "int8")
            cache = KVCache(
                kv,
                -(-self.context // PAGE_TOKENS),
                self.config.num_hidden_layers,
                self.config.kv_lora_rank,
                self.config.qk_rope_head_dim,
            )
        except BaseException:
            self._file.close()
            raise
        engine = Engine(model, cache, self.config.vocab_size)
        self._thread = EngineThread(engine, prepare=lambda: runtime.configure(threads))

    def close(self) -> None:
        """Ends running requests and gives the memory back. May be called again."""
        self._thread.close()
        self._file.close()

    def __enter__(self) -> "LLM":
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    @property
    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer; TokenizerError when it has none."""
        if self._tokenizer is None:
            raise TokenizerError(f"{self.path} cannot take text: {self._no_tokenizer}. Token ids work.")
        return self._tokenizer

    @cached_property
    def model_hash(self) -> str:
        """Names the weights: the SHA-256 over all hashes of the file, in hex."""
        return self._file.view(HASHES)[-32:].tobytes().hex()

    def tokenize(self, text: str, special: bool = True) -> list[int]:
        """Ids of a text; special: names such as <|im_end|> become control tokens."""
        return self.tokenizer.encode(text, special=special)

    def detokenize(self, ids: list[int]) -> str:
        """Text of ids."""
        return self.tokenizer.decode(ids)

    def generate(self, prompt: str | list[int], **sampling) -> Completion:
        """The answer to a raw prompt (text, or ids), without the chat template. sampling: fields of Sampling."""
        pieces = list(self._stream_raw(prompt, sampling))
        last = pieces[-1]
        return Completion(
            text="".join(p.content for p in pieces),
            token_ids=tuple(i for p in pieces for i in p.token_ids),
            finish_reason=last.finish_reason,
            usage=last.usage,
            timings=last.timings,
        )

    def chat(self, messages: list[dict], session: LLMSession | None = None, **options) -> ChatCompletion:
        """The next turn of a conversation. options: fields of ChatOptions and of Sampling.

        session: what was computed and generated for the conversation so far is not computed again.
        """
        pieces = list(self._stream_chat(messages, session, options))
        last = pieces[-1]
        deltas = [Delta(p.content, p.reasoning_content, p.tool_calls, p.finish_reason, p.warnings) for p in pieces]
        message = join(deltas)
        return ChatCompletion(
            content=message.content,
            reasoning_content=message.reasoning_content,
            tool_calls=message.tool_calls,
            finish_reason=message.finish_reason,
            usage=last.usage,
            timings=last.timings,
            token_ids=tuple(i for p in pieces for i in p.token_ids),
            warnings=message.warnings,
        )

    def stream(
        self, prompt: str | list, session: LLMSession | None = None, resume: Sequence[int] = (), **options
    ) -> Iterator[Piece]:
        """generate (prompt: a text, or ids) or chat (a list of messages), piece by piece; closing it cancels.

        resume: ids that this model generated for the same request and seed before; the answer goes on from there with
        the tokens that it would have had, and its pieces begin with these.
        """
        if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
            return self._stream_chat(prompt, session, options, resume)
        return self._stream_raw(prompt, options, resume)

    def session(self) -> LLMSession:
        """An empty conversation, to be passed to chat and stream, and saved."""
        return LLMSession(self._thread, self.model_hash)

    def load_session(self, path: str | os.PathLike) -> LLMSession:
        """The conversation that was saved in a file. SessionError: it is corrupt, or of another model."""
        return LLMSession.load(self._thread, self.model_hash, Path(path))

    def _stream_raw(self, prompt: str | list[int], options: dict, resume: Sequence[int] = ()) -> Iterator[Piece]:
        params = sampling_of(options)
        if params.stop:
            _ = self.tokenizer  # stop texts need one
        stop_ids = self._stop_ids()
        reader = RawReader(self._tokenizer, params.stop, frozenset() if params.ignore_eos else stop_ids)
        return self._start(self._ids(prompt), params, reader, resume=resume)

    def _stream_chat(
        self, messages: list[dict], session: LLMSession | None, options: dict, resume: Sequence[int] = ()
    ) -> Iterator[Piece]:
        names = {f.name for f in fields(ChatOptions)}
        chat = ChatOptions(**{k: v for k, v in options.items() if k in names})
        params = sampling_of({k: v for k, v in options.items() if k not in names})
        template = self._file.metadata.get("tokenizer.chat_template")
        conversation = Conversation(messages, chat, self.tokenizer, template)
        ids = self._ids(conversation.prompt_ids)
        guide = conversation.guide(self._room_for(ids, params), self.config.vocab_size)
        return self._start(ids, params, conversation.reader(params.stop, guide), guide, session, resume)

    def _start(self, ids: list[int], params: Sampling, reader, guide=None, session=None, resume=()) -> Iterator[Piece]:
        max_tokens = self._room_for(ids, params)
        if max_tokens == 0:
            return iter([Piece(finish_reason="length", usage=Usage(len(ids), 0), timings=Timings(0.0, 0.0))])
        forms = None if session is None else session.forms(ids)
        if len(resume) >= max_tokens:
            raise RequestError(f"{len(resume)} tokens to resume with leave none of {max_tokens} to generate.")
        request = Request(ids, params, max_tokens, self._stop_ids(), guide, forms)
        request.resume(resume)
        done = None if session is None else session.follow
        return iter(Generation(self._thread, request, reader, done))

    def logits(self, ids: list[int]) -> np.ndarray:
        """Teacher-forced logits f32[len(ids), vocab]: row i is what follows ids[: i + 1]."""
        ids = self._ids(list(ids))
        request = Request(ids, Sampling(), 0, logits=True)
        self._room_for(ids, Sampling(max_tokens=0))
        outbox, parts, done = self._thread.submit(request), [], False
        while not done:
            output = outbox.get()
            if isinstance(output, BaseException):
                raise output
            parts.append(output.logits)
            done = output.finish_reason is not None
        return np.concatenate(parts)

    def _context(self, context: int | None) -> int:
        limit = self.config.max_position_embeddings
        if context is None:
            return limit
        if not 1 <= context <= limit:
            raise ConfigError(f"context is {context}; {self.path} allows 1 to {limit} tokens.")
        return context

    def _ids(self, prompt: str | list[int]) -> list[int]:
        ids = self.tokenize(prompt) if isinstance(prompt, str) else [int(i) for i in prompt]
        if not ids:
            raise RequestError("The prompt is empty; at least one token is needed.")
        bad = next((i for i in ids if not 0 <= i < self.config.vocab_size), None)
        if bad is not None:
            raise RequestError(f"Token id {bad} is outside the vocabulary of {self.config.vocab_size}.")
        return ids

    def _room_for(self, ids: list[int], params: Sampling) -> int:
        """Tokens that may be generated after ids."""
        room = self.context - len(ids)
        if room < 0 or (room == 0 and params.max_tokens != 0):
            raise ContextOverflow(
                f"The prompt has {len(ids)} tokens and the context {self.context}. "
                "Shorten the prompt or load the model with a larger context."
            )
        return room if params.max_tokens is None else min(room, params.max_tokens)

    def _stop_ids(self) -> frozenset[int]:
        ids = set(self.config.eos_token_ids)
        if self._tokenizer is not None:
            ids.update(self._tokenizer.eos_ids)
        return frozenset(ids)


def sampling_of(options: dict) -> Sampling:
    """Sampling of keywords; an unknown one is a RequestError that names the known."""
    known = {f.name for f in fields(Sampling)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise RequestError(f"Unknown sampling parameter {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    return Sampling(**options)


def _tokenizer_of(file: ModelFile) -> tuple[Tokenizer | None, str | None]:
    """The tokenizer that a file carries, or why there is none."""
    if "tokenizer.ranks" not in file.tensors:
        return None, "its checkpoint had no tokenizer"
    try:
        return Tokenizer.from_model_file(file), None
    except TokenizerError as e:
        raise ModelFileError(f"{file.path}: {e}") from e
