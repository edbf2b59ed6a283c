"""A request: what it asks for, and its state, which is its ids, its pages and how far it has come."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from ..config.fields import NUM_SEEDS, SAMPLING
from .block_pool import ROOT, Tokens
from .repetition import Repetition

EXPANDED, ABSORBED = 0, 1  # the form of a token: how its query attends (model/attention.py)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters under OpenAI's names; top_k, min_p and repeat_penalty under llama.cpp's.

    Defaults are Kimi K2 Thinking's: nothing cut off. temperature 0 is greedy; None: as the model file says, or 1.
    max_tokens None, or -1: until the model stops or the context is full. seed None: another one every time; any other
    integer is a seed, negative ones too. logit_bias: what is added to the logits of ids. presence_penalty and
    frequency_penalty count the answer, repeat_penalty the prompt as well. logprobs: number of the best ids that are
    given with each token, besides its own log-probability; None is off. repetition_detection: whether an answer that
    runs in a circle is ended, True or, under vLLM's names, the fields of engine.repetition.Repetition; None: as the
    model file says, which is mostly nothing. None stands for the default everywhere. Raises RequestError for a value
    that the table of fields does not allow.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] | None = None
    logprobs: int | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] = ()
    ignore_eos: bool = False
    repetition_detection: bool | Mapping[str, int] | None = None

    def __post_init__(self):
        for field in SAMPLING:
            value = getattr(self, field.name)
            if value is not field.default:
                object.__setattr__(self, field.name, field.default if value is None else field.checked(value))
        Repetition.of(self.repetition_detection)


class Guide(Protocol):
    """Steers one request's sampling, token by token: constrained decoding and forced ids."""

    def forced(self) -> int | None:
        """The id that must come next, or None."""

    def mask(self) -> np.ndarray | None:
        """bool[vocab] of the ids that may come next, or None when all may."""

    def accept(self, token_id: int) -> None:
        """A token was generated."""


class Steering(Protocol):
    """The wishes that a request's guide was made of."""

    def end_thinking(self, request: "Request") -> None:
        """Lets an answer's thinking end with its next token. On the engine's thread."""


class Kind(Enum):
    """The purpose of a request."""

    ANSWER = "answer"  # tokens are drawn after its prompt
    LOGITS = "logits"  # the logits of its prompt are wanted and nothing else
    IDLE = "idle"  # its prompt is computed while there is no other request, and gives way at once when one comes


class Request:
    """A prompt and what was generated for it."""

    def __init__(
        self,
        prompt_ids: Sequence[int] | np.ndarray,
        sampling: Sampling,
        max_tokens: int,
        *,
        kind: Kind = Kind.ANSWER,
        stop_ids: frozenset[int] = frozenset(),
        guide: Guide | None = None,
        steering: Steering | None = None,
        forms: np.ndarray | None = None,
        tail: int = 1,
        parent: "Request | None" = None,
    ):
        """prompt_ids: an array i32[n] is kept, not copied; nobody may change it. max_tokens: with the context's limit
        in it; 0: the prompt is computed and no token drawn. steering: what the guide was made of, if it can be changed,
        or made again for an engine that is elsewhere. forms: u8[len(prompt_ids)] of a prompt that goes on from what
        this engine computed, EXPANDED for what is new. tail: so many tokens, 1 or more, at the end of a prompt whose
        logits are wanted are ABSORBED: what stands before them is likely to be in the cache, and an expanded token
        rebuilds all of it. parent: a request with the same prompt, whose pages this one takes when they are ready."""
        self.num_prompt_tokens = len(prompt_ids)
        self.kind = kind
        self.sampling = sampling
        self.max_tokens = max_tokens
        self.stop_ids = stop_ids
        self.guide, self.steering = guide, steering
        self.parent = parent
        self.repetition = Repetition.of(sampling.repetition_detection)
        self.seed = secrets.randbelow(NUM_SEEDS) if sampling.seed is None else sampling.seed % NUM_SEEDS
        self.output_ids: list[int] = []
        self.num_computed = 0  # tokens whose latents are in the cache
        self.num_steps = 0  # forward passes that brought tokens of the answer
        self.num_cached = 0  # those of the prompt that were there before
        self.block_table: list[int] = []
        self.page_keys: list[bytes] = []  # of the full pages, as the pool knows them
        self.finish_reason: str | None = None  # "stop", "length" or "error"
        self.stop_reason: str | None = None  # REPETITION where that is why the answer was stopped
        self.aborted = False  # set by any thread, which has the engine look then
        given = np.full(len(prompt_ids), EXPANDED, np.uint8) if forms is None else np.array(forms, np.uint8)
        if max_tokens or kind is Kind.LOGITS:
            given[-tail:] = ABSORBED
        self._prompt = Tokens(np.asarray(prompt_ids, np.int32), given)

    @property
    def prompt_ids(self) -> np.ndarray:
        """i32[n]."""
        return self._prompt.ids

    @property
    def num_tokens(self) -> int:
        """Tokens of prompt and answer."""
        return self.num_prompt_tokens + len(self.output_ids)

    @property
    def num_missing(self) -> int:
        """Tokens that are not in the cache yet; at least 1 until the request is finished."""
        return self.num_prompt_tokens + len(self.output_ids) - self.num_computed

    @property
    def parent_key(self) -> bytes:
        """Key of all full pages so far."""
        return self.page_keys[-1] if self.page_keys else ROOT

    def tokens(self, start: int, stop: int) -> Tokens:
        """Tokens [start, stop) of prompt and answer taken together."""
        n = self.num_prompt_tokens
        given = self._prompt.part(start, min(stop, n))
        if stop <= n:
            return given
        ids = np.asarray(self.output_ids[max(start - n, 0) : stop - n], np.int32)
        made = Tokens(ids, np.full(len(ids), ABSORBED, np.uint8))
        return made if start >= n else Tokens(*map(np.concatenate, zip(given, made, strict=True)))

    def begins_with(self, other: "Request") -> bool:
        """Whether its prompt begins with another request's."""
        return np.array_equal(self._prompt.ids[: other.num_prompt_tokens], other._prompt.ids)

    def resume(self, output_ids: Sequence[int]) -> None:
        """Takes ids that this engine drew for the same request before, so that what follows is what followed then.

        Their latents are computed again, in the form of generated tokens; the guide sees what it saw. Call it before
        the request is added. ValueError: the guide does not allow an id.
        """
        if self.guide is not None:
            for token_id in output_ids:
                self.guide.mask()  # the order of Engine.step: a guide may plan ahead in each of these
                self.guide.forced()
                self.guide.accept(token_id)
        self.output_ids = [int(token_id) for token_id in output_ids]

    def restart(self) -> None:
        """Forgets what was computed; ids, seed and guide stay, so that the same tokens follow."""
        self.block_table, self.page_keys, self.num_computed = [], [], 0
