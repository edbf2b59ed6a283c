"""llguidance behind a small seam: its view of the vocabulary, grammars of JSON schemas, masks as bool arrays."""

import json
from codecs import getincrementaldecoder
from functools import lru_cache

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from ..errors import RequestError
from ..tokenizer import Tokenizer
from .schema import Schema, prepare_schema

# JSON as the model writes it, at most one space in a row: {"city": "Beijing"}
SPACING = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
NUM_CACHED = 128  # compiled schemas; a request compiles the schema of each of its tools
NUMERIC = b"0123456789.eE+-"
NUM_VOCABULARIES = 2  # kept; a process serves one model as a rule
ANY_OBJECT = {"type": "object"}
LIMITS = {"ParserTooComplex", "LexerTooComplex"}  # stop reasons that are no fault of the caller


class Vocabulary:
    """What the masks need to know about a tokenizer; made once for each.

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
        self.compiled = lru_cache(NUM_CACHED)(self._compile)

    def answer_grammar(self, schema: dict | bool) -> "JsonGrammar":
        """Grammar of the answers that a response_format's schema allows. RequestError: it cannot be enforced."""
        return self.compiled(_text(schema, "response_format"), "response_format", True)

    def arguments_grammar(self, schema: dict | bool, tool: str, strict: bool) -> "JsonGrammar":
        """Grammar of a tool's arguments: objects, whatever the schema says, with their properties in the order in which
        the model sees them declared, as the grammar allows one order only. strict: RequestError for a schema that
        cannot be enforced; without it, what can be is, with a warning."""
        what = f"The tool {tool!r}"
        return self.compiled(json.dumps(_as_object(json.loads(_text(schema, what))), sort_keys=True), what, strict)

    def _compile(self, schema_text: str, what: str, strict: bool) -> "JsonGrammar":
        schema = prepare_schema(json.loads(schema_text), what)
        warning = None
        if schema.left_out:
            warning = f"{what} has a schema with {schema.left_out[0]!r}, which cannot be enforced; leave it out."
        text = json.dumps(schema.value)
        matcher = self._json_matcher(text)
        if matcher.is_error():
            reason = " ".join(matcher.get_error().split())
            warning = f"{what} has a schema that cannot be enforced: {reason[:300]}."
            schema, matcher = Schema(ANY_OBJECT), self._json_matcher(json.dumps(ANY_OBJECT))
        if strict and warning:
            raise RequestError(warning)
        return JsonGrammar(matcher, schema, len(text), warning)

    def _json_matcher(self, text: str) -> LLMatcher:
        return LLMatcher(self.tokenizer, LLMatcher.grammar_from_json_schema(text, overrides=SPACING), log_level=0)

    def header_matcher(self, headers: list[str]) -> LLMatcher:
        """Matcher of one of some texts that need no escapes."""
        lark = "start: " + " | ".join(f'"{header}"' for header in headers)
        return LLMatcher(self.tokenizer, LLMatcher.grammar_from_lark(lark), log_level=0)

    def allowed(self, matcher: LLMatcher) -> np.ndarray:
        """bool[n_vocab] of the ordinary tokens that may come next. RequestError: the text outgrew the library's
        limits."""
        bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
        if matcher.is_error():
            reason = " ".join(matcher.get_error().split())
            raise RequestError(f"The schema became too complex while it was enforced: {reason[:300]}.")
        mask = np.unpackbits(bits, count=self.n_vocab, bitorder="little").view(bool)
        mask[self.end_id] = False
        return mask


@lru_cache(NUM_VOCABULARIES)
def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """The tokenizer's, made at the first call (0.5 s for 163,840 tokens)."""
    return Vocabulary(tokenizer)


class JsonGrammar:
    """A compiled schema. size: characters of its text, a measure of how much there is to close; warning: what of the
    schema is not enforced."""

    def __init__(self, matcher: LLMatcher, schema: Schema, size: int, warning: str | None):
        self._matcher = matcher
        self.schema = schema
        self.size = size
        self.warning = warning

    def matcher(self) -> LLMatcher:
        """A fresh one at the start of the text."""
        return self._matcher.deep_copy()


class _Bytes:
    """A tokenizer in llguidance's form."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], special: list[int], end_id: int, encode):
        self.tokens, self.special_token_ids, self.eos_token_id, self._encode = tokens, special, end_id, encode

    def __call__(self, text: bytes) -> list[int]:
        return self._encode(text.decode("utf-8", "replace"))


def _is_whole(token: bytes) -> bool:
    """Whether no character of UTF-8 is begun at the end and not finished."""
    if token[-1] < 0x80:
        return True
    decoder = getincrementaldecoder("utf-8")("replace")
    decoder.decode(token)
    return not decoder.getstate()[0]


def _text(schema: object, what: str) -> str:
    """The schema as JSON. RequestError: it is no schema."""
    if not isinstance(schema, dict | bool):
        raise RequestError(f"{what} has {schema!r} where a JSON schema must stand.")
    try:
        return json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"{what} has a schema that cannot be written as JSON ({error}).") from error


def _as_object(schema: dict | bool) -> dict:
    """The schema, for objects alone."""
    if isinstance(schema, bool):
        return ANY_OBJECT
    kind = schema.get("type", "object")
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        return schema | ANY_OBJECT
    return {"allOf": [ANY_OBJECT, schema]}
