"""Constrained decoding by a token mask: declared tools only, arguments valid under their schemas, answers in JSON."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Any, NoReturn

import numpy as np

from ..config.parameters import answer_schema
from ..errors import AnswerError, RequestError
from ..tokenizer import Tokenizer
from .ending import JsonState, way_out
from .grammar import JsonGrammar, vocabulary_of
from .parser import ARGUMENT_BEGIN, CALL_BEGIN, CALL_END, SECTION_BEGIN, SECTION_END, THINK_BEGIN, THINK_END
from .schema_document import RequestLimits
from .tools import chosen_tools

MAX_TOKENS = 4096  # of a section or a JSON answer where the request has no limit of its own
CUT_WARNING = "A JSON text was ended because the tokens ran out; it is valid, but may say less than was meant."
TOO_COMPLEX = {"ParserTooComplex", "LexerTooComplex"}  # llguidance's stop reasons that are not the sampler's fault
MAX_DEPTH = 32  # of a JSON text; deeper ones are closed
STEPS_A_TOKEN = 32  # of the search for the way out, over the tokens up to the next search: some 10 ms
MAX_NUMBER_BYTES = 32  # json.loads refuses integers of more than 4,300 digits
MAX_FRACTION_BYTES = 15  # of a number with a point, and up to 2 more; 0.99999999999999999 is read as 1


class Phase(Enum):
    """The part of the answer in which the next token stands."""

    START = auto()  # nothing generated; thinking may begin
    THINKING = auto()
    ANSWER = auto()  # the answer is due and must be a section, or JSON, or either
    FREE = auto()  # text
    SECTION = auto()  # a call is due
    HEADER = auto()
    JSON = auto()  # arguments, or the answer
    CALL_DONE = auto()  # another call, or the end of the section
    DONE = auto()  # only an end token


TEXT = {Phase.START, Phase.THINKING, Phase.ANSWER, Phase.FREE}


class Enforcer:
    """The masks of one answer, token by token; a guide of the engine.

    cut: the JSON text was ended because the tokens ran out, not because the model chose to; it is valid, but may say
    less than was meant. warnings: of that, and of keywords that were not enforced in the schema of a tool that was
    called. AnswerError, of mask and accept: the JSON text became too complex for its schema to be enforced.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] = "auto",
        response_format: Mapping[str, Any] | None = None,
        thinking: bool = False,
        next_index: int = 0,
        max_tokens: int | None = None,
        parallel_tool_calls: bool = True,
        end_ids: Iterable[int] = (),
    ):
        """tools, tool_choice, response_format: as in OpenAI's API. thinking: generation begins inside <think>.
        next_index: number of the first call over the conversation. max_tokens: that may be generated; thinking before
        an answer that must come is ended in time for it, and so are JSON texts, which without it end within 4,096
        tokens of their section's start. parallel_tool_calls: more than one call may be made. end_ids: those that end an
        answer besides the tokenizer's. RequestError: a schema or a choice that cannot be enforced."""
        self._vocabulary = vocabulary_of(tokenizer)
        self._token_bytes = tokenizer.token_bytes
        names = (SECTION_BEGIN, SECTION_END, CALL_BEGIN, ARGUMENT_BEGIN, CALL_END, THINK_BEGIN, THINK_END)
        missing = [name for name in names if name not in tokenizer.special_tokens]
        if missing:
            raise RequestError(f"The tokenizer has no token {missing[0]}, so that answers cannot be constrained.")
        self._ids = {name: tokenizer.special_tokens[name] for name in names}
        others = {i for i in end_ids if i < self._vocabulary.n_vocab} - set(tokenizer.eos_ids)
        self._end_ids = [*tokenizer.eos_ids, *sorted(others)]
        chosen, self._must_call = chosen_tools(tools, tool_choice)
        limits = RequestLimits()
        self._tools: dict[str, JsonGrammar] = {}
        self._tool_warnings: dict[str, str | None] = {}
        for name, p in chosen.items():
            grammar, self._tool_warnings[name] = self._vocabulary.arguments_grammar(p.schema, name, p.strict)
            limits.check(grammar.counts, "tools")
            self._tools[name] = grammar
        schema = None if self._must_call else answer_schema(response_format)
        self._answer = None if schema is None else self._vocabulary.answer_grammar(schema)
        if self._answer is not None:
            limits.check(self._answer.counts, "response_format")
        if self._tools:
            self._headers = self._vocabulary.header_matcher([f"functions.{name}:" for name in self._tools])
        grammars = [*self._tools.values(), *([] if self._answer is None else [self._answer])]
        self._reserve = 4 * max(map(self._margin, grammars), default=0)  # tokens that the shortest answer may need
        self._index = next_index
        self._max_tokens = max_tokens
        self._is_parallel = parallel_tool_calls
        self._num_tokens = 0
        self.cut = False
        self.warnings: list[str] = []
        self._queue: list[int] = []  # tokens that must come next
        self._in_call = False
        self._free = self._free_mask(ends=True)
        self._bound = self._free_mask(ends=False)  # the answer is still to come
        self._phase = Phase.THINKING if thinking else Phase.START

    def forced(self) -> int | None:
        """The id that must come next, or None."""
        if self._queue:
            return self._queue[0]
        match self._phase:
            case Phase.SECTION:
                return self._ids[CALL_BEGIN]
            case Phase.JSON if self._matcher.is_stopped() or (self.cut and self._matcher.is_accepting()):
                return self._after_json[0]
            case Phase.THINKING if self._is_bound and self._thought_long:
                return self._ids[THINK_END]
            case Phase.CALL_DONE if self._is_late or not self._is_parallel:
                return self._ids[SECTION_END]
            case Phase.ANSWER if self._must_call:
                return self._ids[SECTION_BEGIN]
            case Phase.DONE:
                return self._end_ids[0]
        return None

    def mask(self) -> np.ndarray | None:
        """bool[n_vocab] of the ids that may come next, or None when all may. Not to be written to."""
        if self._phase is Phase.JSON and not self._queue:
            self._look_ahead()
        forced = self.forced()
        if forced is not None:
            return self._only(self._end_ids if forced in self._end_ids else [forced])
        match self._phase:
            case Phase.START:
                return self._start_mask()
            case Phase.THINKING:
                return self._bound if self._is_bound else self._free
            case Phase.ANSWER:
                return self._answer_mask()
            case Phase.FREE:
                return self._free
            case Phase.HEADER:
                return self._vocabulary.allowed(self._matcher)
            case Phase.CALL_DONE:
                return self._only([self._ids[CALL_BEGIN], self._ids[SECTION_END]])
        return self._json_mask()

    def accept(self, token_id: int) -> None:
        """Takes the token that was generated. ValueError: one that the mask excludes."""
        self._num_tokens += 1
        if self._phase is Phase.JSON:
            self._accept_json(token_id)
        elif self._phase in TEXT:
            self._accept_text(token_id)
        elif self._phase is Phase.HEADER:
            self._accept_header(token_id)
        else:
            self._accept_marker(token_id)

    def _accept_text(self, token_id: int) -> None:
        """Takes a token of the thinking, of free text, or at the start of the answer."""
        if token_id == self._ids[SECTION_BEGIN] and self._tools:
            self._phase = Phase.SECTION
            self._set_deadline()
        elif token_id == self._ids[THINK_BEGIN] and self._phase is Phase.START:
            self._phase = Phase.THINKING
        elif token_id == self._ids[THINK_END] and self._phase is Phase.THINKING:
            self._phase = Phase.ANSWER if self._is_bound else Phase.FREE
        elif self._phase in (Phase.START, Phase.ANSWER) and self._is_bound:
            if self._answer is None:
                self._refuse(token_id)
            self._set_deadline()
            self._open_json(self._answer)
            self._accept_json(token_id)
        elif self._phase is Phase.START:
            self._phase = Phase.FREE

    def _accept_marker(self, token_id: int) -> None:
        """Takes a token where only control tokens are allowed."""
        if token_id == self._ids[CALL_BEGIN] and self._phase in (Phase.SECTION, Phase.CALL_DONE):
            self._phase = Phase.HEADER
            self._header, self._matcher = b"", self._headers.deep_copy()
        elif token_id == self._ids[SECTION_END] and self._phase is Phase.CALL_DONE:
            self._phase = Phase.DONE
        elif self._phase is not Phase.DONE or token_id not in self._end_ids:
            self._refuse(token_id)

    def _accept_header(self, token_id: int) -> None:
        """Takes a token of a call's header: first one of the tools' names, then the call's number and the next marker,
        which are queued."""
        if not self._queue:
            self._header += self._token_bytes(token_id)
            if not self._matcher.consume_token(token_id):
                self._refuse(token_id)
            if self._matcher.is_accepting():
                self._queue = [*self._vocabulary.encode(str(self._index)), self._ids[ARGUMENT_BEGIN]]
            return
        if token_id != self._queue.pop(0):
            self._refuse(token_id)
        if not self._queue:
            self._index += 1
            self._in_call = True
            name = self._header.decode().removeprefix("functions.").removesuffix(":")
            self._warn(self._tool_warnings[name])
            self._open_json(self._tools[name])

    def _accept_json(self, token_id: int) -> None:
        """Takes a token of arguments, or of a JSON answer. AnswerError: the text became too complex."""
        if token_id in self._after_json and self._matcher.is_accepting():
            self._phase = Phase.CALL_DONE if self._in_call else Phase.DONE
            self._in_call = False
            return
        expected = self._queue.pop(0) if self._queue else token_id
        if token_id != expected or not self._matcher.consume_token(token_id):
            if self._matcher.stop_reason() in TOO_COMPLEX:
                raise AnswerError("The answer became too complex for its schema to be enforced.")
            self._refuse(token_id)
        self._state.feed(self._token_bytes(token_id))

    def _open_json(self, grammar: JsonGrammar) -> None:
        """A JSON text begins."""
        self._phase = Phase.JSON
        self._grammar, self._matcher, self._state = grammar, grammar.matcher(), JsonState()
        early = (self._deadline - self._num_tokens) // 2 > self._margin(grammar)
        self._next_look = self._num_tokens + (self._deadline - self._num_tokens) // 4 if early else 0
        self._next_try, self._patience = 0, 8

    def _warn(self, warning: str | None) -> None:
        if warning and warning not in self.warnings:
            self.warnings.append(warning)

    def _set_deadline(self) -> None:
        """Sets the token by which the section or JSON answer that begins now has to end."""
        self._limit = MAX_TOKENS - 1 if self._max_tokens is None else self._max_tokens - self._num_tokens
        self._deadline = self._num_tokens + self._limit

    def _look_ahead(self) -> None:
        """Queues the way out of the JSON text when the tokens run out, or when it is too deep. The nearer the deadline,
        the more often the way out is searched, unless a search takes too long for that; the margin leaves room for what
        a token may open in between."""
        is_deep = len(self._state.stack) >= MAX_DEPTH
        if self._num_tokens < (self._next_try if is_deep else self._next_look):
            return
        tokens, num_steps = way_out(self._vocabulary, self._grammar, self._matcher, self._state, self._token_bytes)
        if tokens is None:  # search ever less often, as this costs most
            self._patience *= 2
            self._next_look = self._next_try = self._num_tokens + self._patience
            return
        left = self._deadline - self._num_tokens - len(tokens)
        slack = left - min(self._limit // 4, self._margin(self._grammar))
        pause = max(1, slack // 4)
        if slack > 0 and pause >= num_steps // STEPS_A_TOKEN and not is_deep:
            self._next_look = self._num_tokens + pause
            return
        self.cut = self.cut or bool(tokens)
        self._warn(CUT_WARNING if tokens else None)
        self._queue = tokens

    @staticmethod
    def _margin(grammar: JsonGrammar) -> int:
        """Tokens to keep for the end of a JSON text: the control tokens after it, and what one token may open."""
        return 32 + grammar.size // 8

    @property
    def _thought_long(self) -> bool:
        """Whether the answer would hardly have room behind more thinking."""
        if self._max_tokens is None:
            return False
        return self._max_tokens - self._num_tokens <= min(self._max_tokens // 2, self._reserve)

    @property
    def _is_late(self) -> bool:
        """Whether another call would hardly have room."""
        return self.cut or self._deadline - self._num_tokens < min(self._limit // 2, self._reserve)

    @property
    def _after_json(self) -> list[int]:
        """The tokens that may follow the JSON text."""
        return [self._ids[CALL_END]] if self._in_call else self._end_ids

    @property
    def _is_bound(self) -> bool:
        """Whether the answer must be a section or JSON."""
        return self._must_call or self._answer is not None

    def _answer_mask(self) -> np.ndarray:
        """The mask at the start of an answer that must be a section or JSON."""
        mask = self._only([])
        if self._answer is not None:
            mask = self._vocabulary.allowed(self._answer.matcher())
        mask[self._ids[SECTION_BEGIN]] = bool(self._tools)
        return mask

    def _start_mask(self) -> np.ndarray:
        """The mask of the first token, which may open the thinking."""
        if not self._is_bound:
            return self._free
        mask = self._answer_mask()
        mask[self._ids[THINK_BEGIN]] = True
        return mask

    def _json_mask(self) -> np.ndarray:
        """The mask inside a JSON text, which ends numbers that grow too long."""
        mask = self._vocabulary.allowed(self._matcher)
        longest = MAX_FRACTION_BYTES if self._state.in_fraction else MAX_NUMBER_BYTES
        if self._matcher.is_accepting():
            mask[self._after_json] = True
        if self._state.number_bytes >= longest and (ended := mask & ~self._vocabulary.numeric).any():
            mask = ended
        return mask

    def _free_mask(self, ends: bool) -> np.ndarray:
        """The mask of text: no tool token but the one that begins a section. ends: the answer may end here."""
        mask = np.ones(self._vocabulary.n_vocab, bool)
        mask[[self._ids[name] for name in (SECTION_END, CALL_BEGIN, ARGUMENT_BEGIN, CALL_END)]] = False
        mask[self._ids[SECTION_BEGIN]] = bool(self._tools)
        mask[self._end_ids] = ends
        return mask

    def _only(self, ids: list[int]) -> np.ndarray:
        """The mask that allows some ids alone."""
        mask = np.zeros(self._vocabulary.n_vocab, bool)
        mask[ids] = True
        return mask

    def _refuse(self, token_id: int) -> NoReturn:
        raise ValueError(f"Token {token_id} is not allowed in the {self._phase.name.lower()} of this answer.")
