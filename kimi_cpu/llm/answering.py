"""From a turn to its answers: a request to the engine for each, or those of heavy mode behind one handle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..config.fields import NUM_SEEDS
from ..engine import EngineClient, Request, Sampling
from ..engine import session as engine_session
from ..errors import AnswerError, RequestError
from .conversation import Session
from .decoding import Decoding, explain, read_ahead
from .generation import Generation
from .heavy import HeavyGeneration
from .parameters import room_for
from .results import Answer, ChatCompletion
from .turn import ChatTurn, Turn
from .vocabulary import Vocabulary

Forms = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Answering:
    """Begins the answers of one model. path: of its file. context: tokens that a prompt and its answer may have.
    defaults: parameters of requests that leave them open. reads_ahead: see LoadOptions.read_ahead."""

    engine: EngineClient
    vocabulary: Vocabulary
    path: Path
    context: int
    defaults: Mapping[str, Any]
    reads_ahead: bool

    def begin(
        self,
        turn: Turn[Answer],
        session: Session | None,
        owner: object,
        n: int = 1,
        resume: Sequence[int] = (),
        answered: Callable[[Answer], None] | None = None,
    ) -> list[Generation[Answer]]:
        """n answers to a turn. owner: kept alive as long as they are. resume: ids with which the first begins.
        answered: called with the first, after the session has followed it. RequestError, ContextOverflow."""
        if turn.heavy > 1:
            if n > 1 or resume:
                raise RequestError("heavy gives one answer, from its beginning; n and resume cannot stand beside it.")
            heavy: Any = self._begin_heavy(cast(Any, turn), session, owner, cast(Any, answered))  # a chat's
            return [heavy]
        requests = self._requests(turn, None if session is None else session.forms, n)
        first = requests[0]
        if resume and len(resume) >= first.max_tokens:
            raise RequestError(f"{len(resume)} tokens to resume with leave none of {first.max_tokens} to generate.")
        try:
            first.resume(resume)
        except Exception as e:  # of the guide
            raise AnswerError.of(e) from e

        def done(request: Request, num_tokens: int, answer: Answer) -> None:
            self._end(turn, session, request, num_tokens, answer, answered, n == 1)

        return self._decode(turn, requests, owner, done)

    def _begin_heavy(
        self,
        turn: ChatTurn,
        session: Session | None,
        owner: object,
        answered: Callable[[ChatCompletion], None] | None,
    ) -> HeavyGeneration:
        requests = self._requests(turn, None if session is None else session.forms, turn.heavy)
        first = requests[0]
        prompt = engine_session.Session(first.tokens(0, first.num_prompt_tokens))

        def reflect(message: str) -> Generation[ChatCompletion]:
            after = turn.reflecting(message)
            return self._decode(after, self._requests(after, prompt.forms), owner)[0]

        def done(answer: ChatCompletion) -> None:
            self._end(turn, session, first, 0, answer, answered, True)

        return HeavyGeneration(self._decode(turn, requests, owner), reflect, done)

    def _decode(
        self,
        turn: Turn[Answer],
        requests: Sequence[Request],
        owner: object,
        done: Callable[[Request, int, Answer], None] | None = None,
    ) -> list[Generation[Answer]]:
        """Answers that the engine decodes as one batch. done: called with the first."""
        generations: list[Generation[Answer]] = []
        try:
            for request in requests:
                told, explained = done if request is requests[0] else None, partial(explain, self.path)
                generations.append(Decoding(self.engine, request, turn, done=told, explain=explained, owner=owner))
        except BaseException:
            for generation in generations:
                generation.cancel()
            raise
        return generations

    def _end(
        self,
        turn: Turn[Answer],
        session: Session | None,
        request: Request,
        num_tokens: int,
        answer: Answer,
        answered: Callable[[Answer], None] | None,
        is_only: bool,
    ) -> None:
        """An answer has ended, of which a request has the prompt and the first num_tokens of its tokens."""
        if session is not None:
            session.follow(request, num_tokens)
        if answered is not None:
            answered(answer)
        if isinstance(turn, ChatTurn) and isinstance(answer, ChatCompletion) and is_only and self.reads_ahead:
            forms = None if session is None else session.forms
            read_ahead(self.engine, turn, answer, self.context - 1, forms)

    def _requests(self, turn: Turn[Any], forms: Forms | None, n: int = 1) -> list[Request]:
        """n requests of one prompt, which the first computes and the others take. forms: those of what was computed of
        a prompt before."""
        self.vocabulary.check(turn.prompt_ids)
        first = self._request(turn, forms, 0)
        return [first, *(self._request(turn, forms, i, parent=first) for i in range(1, n))]

    def _request(self, turn: Turn[Any], forms: Forms | None, number: int, parent: Request | None = None) -> Request:
        """The number-th sample of a turn."""
        max_tokens = room_for(len(turn.prompt_ids), self.context, turn.params.max_tokens)
        self.vocabulary.check(turn.params.logit_bias or (), "logit_bias")
        return Request(
            turn.prompt_ids,
            self._sampling(turn.params, number),
            max_tokens,
            stop_ids=self.vocabulary.stop_ids,
            guide=turn.guide(max_tokens),
            steering=turn.steering,
            forms=None if forms is None else forms(turn.prompt_ids),
            tail=turn.num_new,
            parent=parent,
        )

    def _sampling(self, params: Sampling, number: int) -> Sampling:
        params = replace(params, **{k: v for k, v in self.defaults.items() if getattr(params, k) is None})
        if params.seed is not None:
            params = replace(params, seed=(params.seed + number) % NUM_SEEDS)
        return params
