"""llguidance behind a small seam: its view of the vocabulary, grammars of JSON schemas, masks as bool arrays."""

import json
import threading
import time
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from ..errors import AnswerError, OutOfMemory, RequestError, shown
from ..tokenizer import Tokenizer, without_surrogates
from .schema import Schema, parts_of, prepare_schema
from .schema_document import Limits, Place, SchemaError

# JSON as the model writes it, at most one space in a row: {"city": "Beijing"}
SPACING: Any = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
PARSER_LIMITS = LLParserLimits(
    max_items_in_row=8_000,  # an object of 1,000 optional properties takes four for each
    max_lexer_states=32_000,  # 20 MB; they stay as long as the grammar is kept
    verbose_errors=False,
)
NUM_CACHED = 64  # compiled schemas; a request compiles the schema of each of its tools
NUMERIC = b"0123456789.eE+-"
NUM_VOCABULARIES = 2  # kept; a process serves one model as a rule
ANY_OBJECT = {"type": "object"}
EMPTY = "Regex is empty"  # llguidance's words for patterns that nothing matches
MAX_SEARCH_S = 0.2  # for the place of an error, which is only named to help
STACK_BYTES = 128 << 20  # of address space; the compiler takes up to 9 KiB for each reference that leads to another
_SLOTS = threading.BoundedSemaphore(2)  # schemas that are compiled at a time, as each may need memory
_STARTING = threading.Lock()


class Vocabulary:
    """A tokenizer as the masks need it; made once for each.

    ids: byte -> id of the token that is this byte; lengths: int16[n_vocab], bytes of the ordinary tokens, 1 for those
    that stop inside a character, and 0 for special ones; numeric: bool[n_vocab], tokens that can go on with a number.
    """

    def __init__(self, tokenizer: Tokenizer):
        tokens = [tokenizer.token_bytes(i) for i in range(tokenizer.n_vocab)]
        special = [i for i in range(len(tokens)) if tokenizer.is_special(i)]
        self.ids = {token[0]: i for i, token in enumerate(tokens) if len(token) == 1}
        self.lengths = np.array([min(len(token), 999) if _is_whole(token) else 1 for token in tokens], np.int16)
        self.lengths[special] = 0
        self.numeric = np.array([token[0] in NUMERIC for token in tokens])
        self.encode = lambda text: tokenizer.encode(text, special=False)
        self.n_vocab = tokenizer.n_vocab
        self.end_id = tokenizer.eos_ids[0]
        self.tokenizer = LLTokenizer(TokenizerWrapper(_Bytes(tokens, special, self.end_id, self.encode)))
        self.compiled = lru_cache(NUM_CACHED)(partial(on_deep_stack, self._compile))

    def answer_grammar(self, schema: dict | bool) -> "JsonGrammar":
        """Grammar of the answers that a response_format's schema allows. RequestError: it cannot be enforced."""
        grammar = self.compiled(_text(schema, "response_format"), False)
        if grammar.failure:
            raise RequestError(_told("response_format", grammar.failure), "response_format")
        return grammar

    def arguments_grammar(self, schema: dict | bool, tool: str, strict: bool) -> tuple["JsonGrammar", str | None]:
        """Grammar of a tool's arguments: objects, whatever the schema says, with their properties in the order in which
        the model sees them declared, as the grammar allows one order only; and a warning if not all of the schema is
        enforced. strict: RequestError instead."""
        what = f"The tool {shown(tool)}"
        grammar = self.compiled(_text(schema, what, sort_keys=True), True)
        warning = grammar.failure and _told(what, grammar.failure)
        if strict and warning:
            raise RequestError(warning, "tools")
        return grammar, warning

    def _compile(self, text: str, objects: bool) -> "JsonGrammar":
        failure, limits = None, Limits()
        try:
            schema = prepare_schema(text, limits, objects)
            matcher = self._matcher_of(schema)
            if schema.left_out:
                keyword = schema.left_out[0][-1]
                failure = str(SchemaError(schema.left_out[0], f"{keyword!r} cannot be enforced; leave it out"))
        except BaseException as error:  # a panic of the compiler is no Exception
            failure = str(error if isinstance(error, SchemaError) else SchemaError((), f"the compiler fails: {error}"))
            schema = Schema(ANY_OBJECT)
            matcher = self._matcher_of(schema)
        return JsonGrammar(matcher, schema, failure, limits.counts, self.encode)

    def _matcher_of(self, schema: Schema) -> LLMatcher:
        """A matcher at the start of a text. SchemaError: the compiler refuses the schema, or no text fits it."""
        for pattern, place in schema.patterns.items():
            reason = _error_of(self._json_matcher({"type": "string", "pattern": pattern}))
            if reason is not None:
                raise SchemaError(place, "no text matches it" if EMPTY in reason else reason)
        matcher = self._json_matcher(schema.value)
        reason = _error_of(matcher)
        if reason is not None:
            raise SchemaError(*self._first_refused(schema, reason))
        try:
            can_begin = self.allowed(matcher.deep_copy()).any()
        except AnswerError as error:
            raise SchemaError((), str(error)) from error
        if not can_begin:
            raise SchemaError((), "nothing can be written that fits it")
        return matcher

    def _first_refused(self, schema: Schema, reason: str) -> tuple[Place, str]:
        """The innermost schema that the compiler refuses by itself, as far as that is found soon, and its reason."""
        assert isinstance(schema.value, dict)  # True and False are compiled
        defs, place = schema.value.get("$defs", {}), ()
        parts, give_up_at = list(parts_of(schema.value, place)), time.monotonic() + MAX_SEARCH_S
        while parts and time.monotonic() < give_up_at:
            part, here = parts.pop(0)
            if isinstance(part, bool):
                continue
            refused = _error_of(self._json_matcher(part | {"$defs": defs}))
            if refused is not None:
                place, reason, parts = here, refused, list(parts_of(part, here))
        return place, reason

    def _json_matcher(self, schema: dict | bool) -> LLMatcher:
        try:
            grammar = LLMatcher.grammar_from_json_schema(
                json.dumps({} if schema is True else schema), overrides=SPACING
            )
        except ValueError as error:  # a number that no double holds
            raise SchemaError((), str(error)) from error
        return LLMatcher(self.tokenizer, grammar, log_level=0, limits=PARSER_LIMITS)

    def header_matcher(self, headers: list[str]) -> LLMatcher:
        """A matcher of one of some texts that need no escapes."""
        lark = "start: " + " | ".join(f'"{header}"' for header in headers)
        return LLMatcher(self.tokenizer, LLMatcher.grammar_from_lark(lark), log_level=0, limits=PARSER_LIMITS)

    def allowed(self, matcher: LLMatcher) -> np.ndarray:
        """bool[n_vocab] of the ordinary tokens that may come next. AnswerError: the text outgrew the library's
        limits."""
        bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
        reason = _error_of(matcher)
        if reason is not None:
            self.compiled.cache_clear()  # other answers may have left the complexity in it
            raise AnswerError(f"The answer became too complex for its schema to be enforced: {reason[:300]}.")
        mask = np.unpackbits(bits, count=self.n_vocab, bitorder="little").view(bool)
        mask[self.end_id] = False
        return mask


@lru_cache(NUM_VOCABULARIES)
def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """The vocabulary of a tokenizer, made at the first call (0.5 s for 163,840 tokens)."""
    return Vocabulary(tokenizer)


class JsonGrammar:
    """A compiled schema. size: characters of its text, a measure of how much there is to close; failure: the first
    keyword that is not enforced, and why; counts: its share of the limits of a request; names: the required ones in
    quotes, as tokens; texts: as tokens, ends of the strings that patterns and formats ask for, from each character of
    an example on."""

    def __init__(
        self,
        matcher: LLMatcher,
        schema: Schema,
        failure: str | None,
        counts: Counter[str],
        encode: Callable[[str], list[int]],
    ):
        self._matcher = matcher
        self.size = len(json.dumps(schema.value))
        self.failure, self.counts = failure, counts
        self.names = [encode(json.dumps(name, ensure_ascii=False)) for name in schema.required]
        endings = (json.dumps(example, ensure_ascii=False)[1:] for example in schema.examples)
        self.texts = [encode(ending[at:]) for ending in endings for at in range(len(ending) - 1)]

    def matcher(self) -> LLMatcher:
        """A fresh matcher at the start of the text."""
        return self._matcher.deep_copy()


def on_deep_stack(work: Callable[..., Any], *args: Any) -> Any:
    """work(*args), which recurses in native code as deep as a schema goes, on a thread of its own with a large stack:
    its result, or its exception. OutOfMemory: there is no memory for such a thread."""
    outcome: list = []

    def run() -> None:
        try:
            outcome.append((work(*args), None))
        except BaseException as error:  # a panic in native code is no Exception
            outcome.append((None, error))

    with _SLOTS:
        with _STARTING:  # the size is the process's
            before = threading.stack_size(STACK_BYTES)
            try:
                thread = threading.Thread(target=run, name="kimi-cpu schema", daemon=True)
                thread.start()
            except RuntimeError as error:
                raise OutOfMemory("There is no memory for a thread that compiles a schema. Try again later.") from error
            finally:
                threading.stack_size(before)
        thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


class _Bytes:
    """A tokenizer in llguidance's form."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], special: list[int], end_id: int, encode: Callable[[str], list[int]]):
        self.tokens, self.special_token_ids, self.eos_token_id, self._encode = tokens, special, end_id, encode

    def __call__(self, text: bytes) -> list[int]:
        return self._encode(text.decode("utf-8", "replace"))


def _is_whole(token: bytes) -> bool:
    """Whether a token does not stop inside a character of UTF-8."""
    if token[-1] < 0x80:
        return True
    decoder = getincrementaldecoder("utf-8")("replace")
    decoder.decode(token)
    return not decoder.getstate()[0]


def _told(what: str, failure: str) -> str:
    """The sentence for clients."""
    return f"{what} has a schema that cannot be enforced: {failure}."


def _text(schema: object, what: str, sort_keys: bool = False) -> str:
    """The schema as JSON. RequestError: it is no schema."""
    if not isinstance(schema, dict | bool):
        raise RequestError(f"{what} has {shown(schema)} where a JSON schema must stand.")
    try:
        text = without_surrogates(json.dumps(schema, allow_nan=False, ensure_ascii=False))
        return json.dumps(json.loads(text), sort_keys=True) if sort_keys else text
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"{what} has a schema that cannot be written as JSON ({error}).") from error


def _error_of(matcher: LLMatcher) -> str | None:
    """The error of a grammar or of its text, None as a rule."""
    return " ".join(matcher.get_error().split()) if matcher.is_error() else None
