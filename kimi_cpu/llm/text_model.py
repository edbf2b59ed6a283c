"""TextModel, a model that takes and gives text: all of it but the engine, which may be elsewhere."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack, overload

from ..config.fields import COMPLETION_TOKENS
from ..engine import EngineState, Sampling
from ..errors import RequestError, shown
from ..modelfile import ModelFile
from ..residency import ExpertsState, ResidentExperts
from ..tokenizer import Tokenizer
from . import openai
from .answering import Answering
from .conversation import Answered, Conversation, Session
from .generation import Generation, closing, result_of
from .options import Progress
from .parameters import (
    ChatKeywords,
    ChatOptions,
    Messages,
    Prompt,
    SamplingKeywords,
    Tools,
    chat_parameters,
    is_messages,
    raw_parameters,
    well_formed,
)
from .results import Answer, ChatCompletion, Completion, JsonObject, Piece
from .turn import ChatTurn, RawTurn, Turn


class TextModel(ABC):
    """Text in, text out, over an engine that may be in another process. Thread-safe.

    path: of the model file. config: the model's shapes. context: tokens that a prompt and its answer may have together.
    engine, vocabulary: what is below text, for programs that bring ids.
    """

    def __init__(self, file: ModelFile, answering: Answering, residency: ResidentExperts | None = None):
        """residency: see Session."""
        self.path, self.config, self.context = file.path, file.config, answering.context
        self._file, self._answering, self._residency = file, answering, residency
        self.engine, self.vocabulary = answering.engine, answering.vocabulary

    @abstractmethod
    def close(self) -> None:
        """Ends running requests, which get EngineDeadError. May be called again."""

    @abstractmethod
    def engines(self) -> dict[str, EngineState | None]:
        """The load of each engine, by the names of replicas, "" where there are none; None while one is being started
        or cannot be reached. Answers at once. EngineDeadError: see `state`."""

    @abstractmethod
    def experts(self) -> dict[str, ExpertsState]:
        """How many of the experts that were needed were in memory, and what was read, for each engine that reads them
        from disk."""

    def state(self) -> EngineState:
        """The engine's load: requests and pages; answers at once. EngineDeadError: the engine has stopped."""
        return self.engine.state()

    @property
    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer; TokenizerError when it has none."""
        return self.vocabulary.require_tokenizer()

    @cached_property
    def model_hash(self) -> str:
        """Names the weights, in hex."""
        return self._file.model_hash()

    def tokenize(self, text: str, special: bool = True) -> list[int]:
        """Ids of a text; special: names such as <|im_end|> become control tokens."""
        return self.tokenizer.encode(text, special=special)

    def detokenize(self, ids: Iterable[int]) -> str:
        """Text of ids."""
        return self.tokenizer.decode(ids)

    def chat_ids(self, messages: Messages, tools: Tools | None = None, **template_kwargs: Any) -> list[int]:
        """Ids of a chat's prompt, as chat would send it: to count them, or to look at them."""
        options = ChatOptions(tools=well_formed(tools), template_kwargs=well_formed(template_kwargs))
        return ChatTurn(messages, options, Sampling(), self.vocabulary).prompt_ids.tolist()

    def generate(
        self, prompt: Prompt, *, progress: Progress | None = None, **sampling: Unpack[SamplingKeywords]
    ) -> Completion:
        """The answer to a raw prompt (text, or ids), without the chat template. sampling: fields of Sampling, or a
        Sampling as `sampling`. progress: called with (tokens computed, tokens of the prompt) between steps,
        and within long ones with the share of its tokens that the layers computed so far are.

        RequestError, ContextOverflow, TokenizerError: it cannot be asked. AnswerError, EngineDeadError: it failed.
        """
        return result_of(self._begin(self._raw_turn(prompt, sampling))[0], progress)

    def chat(
        self,
        messages: Messages,
        tools: Tools | None = None,
        session: Session | None = None,
        *,
        progress: Progress | None = None,
        **options: Unpack[ChatKeywords],
    ) -> ChatCompletion:
        """The next turn of a conversation. options: fields of ChatOptions and of Sampling. progress: as in generate.

        session: what was computed and generated for the conversation so far is not computed again. Raises what generate
        raises, and TemplateError.
        """
        return result_of(self._begin(self._chat_turn(messages, tools, options), session)[0], progress)

    def stream(
        self,
        prompt: Prompt | Messages,
        tools: Tools | None = None,
        session: Session | None = None,
        *,
        resume: Sequence[int] = (),
        **options: Unpack[ChatKeywords],
    ) -> Iterator[Piece]:
        """As generate (prompt: a text, or ids) or chat (a list of messages), piece by piece; closing it cancels.

        resume: ids that this model generated for the same request and seed before; the answer goes on from there with
        the tokens that it would have had, and its pieces begin with these.
        """
        return closing(self._begin(self._turn(prompt, tools, options), session, resume=resume)[0])

    @overload
    def submit(
        self,
        prompt: Prompt,
        tools: None = None,
        session: Session | None = None,
        *,
        resume: Sequence[int] = (),
        **options: Unpack[SamplingKeywords],
    ) -> Generation[Completion]: ...
    @overload
    def submit(
        self,
        prompt: Messages,
        tools: Tools | None = None,
        session: Session | None = None,
        *,
        resume: Sequence[int] = (),
        **options: Unpack[ChatKeywords],
    ) -> Generation[ChatCompletion]: ...
    def submit(
        self,
        prompt: Prompt | Messages,
        tools: Tools | None = None,
        session: Session | None = None,
        *,
        resume: Sequence[int] = (),
        **options: Any,
    ) -> Generation[Completion] | Generation[ChatCompletion]:
        """As stream, but returns at once with a handle to iterate, to await, to ask for its result, and to cancel."""
        return self._begin(self._turn(prompt, tools, options), session, resume=resume)[0]

    @overload
    def samples(
        self, prompt: Prompt, n: int = 1, session: Session | None = None, **options: Unpack[SamplingKeywords]
    ) -> list[Generation[Completion]]: ...
    @overload
    def samples(
        self,
        prompt: Messages,
        n: int = 1,
        session: Session | None = None,
        *,
        tools: Tools | None = None,
        **options: Unpack[ChatKeywords],
    ) -> list[Generation[ChatCompletion]]: ...
    def samples(
        self,
        prompt: Prompt | Messages,
        n: int = 1,
        session: Session | None = None,
        *,
        tools: Tools | None = None,
        **options: Any,
    ) -> list[Generation[Completion]] | list[Generation[ChatCompletion]]:
        """n answers to one prompt, which is computed once; iterate each for its pieces. Arguments as in stream.

        With a seed, the answers have seed, seed + 1, …
        """
        if not isinstance(n, int) or n < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise RequestError(f"n is {shown(n)}; it must be 1 or more.")
        return self._begin(self._turn(prompt, tools, options), session, n)

    def create_chat_completion(
        self, messages: Messages, *, max_tokens: int | None = None, model: str | None = None, **fields: Any
    ) -> JsonObject | Iterator[JsonObject]:
        """LLM.chat as llama-cpp-python spells it: a chat.completion, or with stream=True an iterator of its chunks.

        fields: those of /v1/chat/completions, and the other keywords of LLM.chat; None is as good as absent, an unknown
        name is refused. max_tokens below 1 is no limit, model is what the answer says it is from. Raises what LLM.chat
        raises.
        """
        asked, name = openai.chat_call(messages, max_tokens, fields), model or self.path.stem
        token_bytes = self.tokenizer.token_bytes
        if asked.stream:
            return openai.chat_chunks(self.stream(messages, **asked.keywords), name, token_bytes, asked.include_usage)
        return openai.chat_object(self.chat(messages, **asked.keywords), name, token_bytes)

    def create_completion(
        self,
        prompt: str | list[int],
        *,
        max_tokens: int | None = COMPLETION_TOKENS,
        echo: bool = False,
        model: str | None = None,
        **fields: Any,
    ) -> JsonObject | Iterator[JsonObject]:
        """LLM.generate as llama-cpp-python spells it: a text_completion, or with stream=True an iterator of such.

        fields: those of /v1/completions, and the other keywords of LLM.generate. max_tokens None or below 1 is no
        limit; echo repeats the prompt before the answer.
        """
        asked, name = openai.completion_call(max_tokens, fields), model or self.path.stem
        token_bytes = self.tokenizer.token_bytes
        text = "" if not echo else prompt if isinstance(prompt, str) else self.detokenize(self.vocabulary.ids(prompt))
        if asked.stream:
            return openai.completion_chunks(self.stream(prompt, **asked.keywords), name, token_bytes, text)
        return openai.completion_object(self.generate(prompt, **asked.keywords), name, token_bytes, text)

    def session(self) -> Session:
        """A session without tokens yet, to be passed to chat and stream, and saved."""
        return Session(self.engine, self.model_hash, self._residency)

    def load_session(self, path: str | os.PathLike[str]) -> Session:
        """The session that was saved in a file. SessionError: it is corrupt, or of another model."""
        return self.session().load(path)

    def conversation(self, path: str | os.PathLike[str] | None = None, system: str | None = None) -> Conversation:
        """A conversation that keeps its messages and what is computed for them. system: its system message.

        path: where Conversation.save writes. One that was saved there goes on; what was computed is computed again,
        with a sentence in its notices, where the file is damaged or another model's. SessionError: there is a file of
        something else, which must not be overwritten, or the messages cannot be read. OSError.
        """
        talk = Conversation(self._converse, self.session(), path)
        if system is not None:
            talk.system = system
        return talk

    def _converse(
        self, messages: Messages, tools: Tools | None, session: Session, answered: Answered, options: ChatKeywords
    ) -> Generation[ChatCompletion]:
        return self._begin(self._chat_turn(messages, tools, options), session, answered=answered)[0]

    def _begin(
        self, turn: Turn[Answer], session: Session | None = None, n: int = 1, **options: Any
    ) -> list[Generation[Answer]]:
        return self._answering.begin(turn, session, self, n, **options)

    def _turn(self, prompt: Any, tools: Tools | None, options: Mapping[str, Any]) -> Turn[Any]:
        if is_messages(prompt):
            return self._chat_turn(prompt, tools, options)
        return self._raw_turn(prompt, options if tools is None else {**options, "tools": tools})

    def _raw_turn(self, prompt: Prompt, options: Mapping[str, Any]) -> RawTurn:
        self.engine.require_own_process()
        return RawTurn(prompt, raw_parameters(options), self.vocabulary)

    def _chat_turn(self, messages: Messages, tools: Tools | None, options: Mapping[str, Any]) -> ChatTurn:
        self.engine.require_own_process()
        return ChatTurn(messages, *chat_parameters({**options, "tools": tools}), self.vocabulary)
