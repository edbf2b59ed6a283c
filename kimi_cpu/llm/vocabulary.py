"""The ids that a model knows, and how text becomes some of them."""

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..chat import PromptEncoder
from ..errors import RequestError, TokenizerError, shown
from ..modelfile import ModelFile
from ..tokenizer import Tokenizer, tokenizer_of


@dataclass(frozen=True)
class Vocabulary:
    """The ids that a model knows, and how text becomes some of them.

    path: of the model file. size: columns of the logits, which may be more than the tokenizer's ids. tokenizer: None
    where the file has none. stop_ids: those at which the engine ends an answer. template: of chats; None for Kimi's.
    """

    path: Path
    size: int
    tokenizer: Tokenizer | None
    stop_ids: frozenset[int]
    template: str | None = None

    @classmethod
    def of(cls, file: ModelFile) -> "Vocabulary":
        """That of a model file. ModelFileError, TokenizerError: its tokenizer is damaged."""
        tokenizer, config = tokenizer_of(file), file.config
        stop_ids = {*config.eos_token_ids, *(tokenizer.eos_ids if tokenizer is not None else ())}
        template = file.metadata.get("tokenizer.chat_template")
        return cls(file.path, config.vocab_size, tokenizer, frozenset(stop_ids), template)

    @cached_property
    def prompts(self) -> PromptEncoder:
        """Encodes chats. TokenizerError: the file has no tokenizer."""
        return PromptEncoder(self.require_tokenizer(), self.template)

    def require_tokenizer(self) -> Tokenizer:
        """TokenizerError: the file has none."""
        if self.tokenizer is None:
            raise TokenizerError(f"{self.path} cannot take text: its checkpoint had no tokenizer. Token ids work.")
        return self.tokenizer

    def ids(self, prompt: str | Iterable[int]) -> np.ndarray:
        """Ids i32[n] of a prompt. RequestError: it is empty, neither a text nor ids, or has ids of no token."""
        try:
            if isinstance(prompt, str):
                ids = self.require_tokenizer().encode(prompt)
            else:
                ids = [operator.index(i) for i in prompt]
        except TypeError as e:
            raise RequestError(f"The prompt is {shown(prompt)}; it must be a text or a list of ids.", "prompt") from e
        if not ids:
            raise RequestError("The prompt is empty; at least one token is needed.", "prompt")
        self.check(ids)
        return np.asarray(ids, np.int32)

    def check(self, ids: Iterable[int], param: str | None = None) -> None:
        """RequestError: the model does not know an id. param: the field of the request that holds them."""
        if isinstance(ids, np.ndarray):
            ids = ids[(ids < 0) | (ids >= self.size)][:1].tolist()  # a loop over a long prompt takes milliseconds
        bad = next((i for i in ids if not 0 <= i < self.size), None)
        if bad is not None:
            where = "" if param is None else f"{param}: "
            message = f"{where}Token id {shown(bad)} is outside the vocabulary of {self.size}."
            raise RequestError(message, param)
