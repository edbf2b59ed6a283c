"""The exceptions that a caller may see. Each says what happened, where, and what to do.

KimiError
├── ConfigError          a configuration or option that the engine cannot honour
├── RequestError         a request that can never be served as it stands
│   └── ContextOverflow  the prompt does not fit in the context
├── DoesNotFit           this machine has too little of something
│   ├── OutOfMemory      RAM
│   └── OutOfDisk        disk space, or a disk that takes no more
├── ModelFileError       the model file is corrupt, truncated or of another kind
│   ├── CheckpointError  the checkpoint that is read by the converter is
│   │   └── UnsupportedCheckpoint  its configuration, a ConfigError too, is none that the engine can honour
│   └── NonFiniteLogits  the weights give NaN or infinity
├── SessionError         a session file cannot be used; the conversation starts afresh
├── TokenizerError       text cannot be encoded or decoded with what the file carries
│   └── TokenizerFileError  it, a ModelFileError too, carries no tokenizer that can be used
├── TemplateError        the chat template cannot be rendered
├── Interrupted          stopped before the end; the same command continues
├── AnswerError          the guide or the reader of one answer failed; the others go on
├── SuspendedError       the model has given its memory back, and what was asked for needs it
├── EngineDeadError      the engine's thread ended; every open request gets this
├── EngineStartingError  no engine is there yet, or again; one is being started
└── ForkError            this process is a fork of the one that loaded the model
"""

import re
import reprlib

MAX_REASON = 200  # characters of a foreign exception that a sentence repeats
MAX_MESSAGE = 4000  # characters; whatever a message repeats may be as long as the file or the request it came in
FORKED = (
    "This process is a fork of one that loaded a model, and threads do not survive a fork. Start processes with "
    "multiprocessing's 'spawn' method instead of 'fork', and load the model in each."
)


class _Repr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        """Python writes no more than 4,300 digits."""
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"an integer of {x.bit_length()} bits"


_REPR = _Repr()
_REPR.maxstring = _REPR.maxother = 100
_REPR.maxlevel = 3
_PATH = re.compile(r"(?P<path>[a-z_]+(?:\[\d+\]|\.\w+)*) (?:is|names|must|has)\b")


class KimiError(Exception):
    """Anything that kimi-cpu says to a person; `exit_code` is what the command line returns for it."""

    exit_code = 1

    def __init__(self, message: str = ""):
        super().__init__(bounded(message))


def bounded(message: str, most: int = MAX_MESSAGE) -> str:
    """A message without its middle if it is longer than `most`: what is wrong begins it, and the remedy ends it."""
    if len(message) <= most:
        return message
    return f"{message[: most * 2 // 3]} … {message[-most // 4 :]}"


def shown(value: object) -> str:
    """A value as a message repeats it: its repr, of bounded length and cost."""
    return _REPR.repr(value)


class ConfigError(KimiError):
    """A configuration or an option holds a value that the engine cannot honour."""


class RequestError(KimiError):
    """A request that can never be served as it stands. param: the field that is wrong, by its path; where it is not
    given, the one that the message begins with. code: a name for programs."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None):
        super().__init__(message)
        named = None if param is not None else _PATH.match(message)
        self.param = param if named is None else named["path"]
        self.code = code


class ContextOverflow(RequestError):
    """The prompt, or the prompt and the answer asked for, exceed the context. num_tokens: of the prompt that is too
    long; most: how many it may have."""

    def __init__(self, message: str, *, num_tokens: int | None = None, most: int | None = None):
        super().__init__(message, code="context_length_exceeded")
        self.num_tokens, self.most = num_tokens, most


class DoesNotFit(KimiError):
    """This machine has too little of something."""

    exit_code = 4


class OutOfMemory(DoesNotFit):
    """There is too little RAM."""


class OutOfDisk(DoesNotFit):
    """There is too little disk space, or the disk takes no more."""


class ModelFileError(KimiError):
    """The model file is corrupt, truncated or of another kind."""

    exit_code = 5


class CheckpointError(ModelFileError):
    """The checkpoint that the converter reads is corrupt, incomplete or of another kind."""


class UnsupportedCheckpoint(CheckpointError, ConfigError):
    """The checkpoint's configuration is none that the engine can honour."""


class NonFiniteLogits(ModelFileError):
    """The weights give NaN or infinity for one request."""


class SessionError(KimiError):
    """A session file cannot be used; the conversation starts afresh."""


class TokenizerError(KimiError):
    """Text cannot be encoded or decoded with what the file carries."""


class TokenizerFileError(TokenizerError, ModelFileError):
    """A model file, a checkpoint or a rank file holds no tokenizer that can be used."""


class TemplateError(KimiError):
    """The chat template cannot be rendered."""


class Interrupted(KimiError):
    """Stopped before the end; the same command continues where this one stopped."""

    exit_code = 6


class AnswerError(KimiError):
    """A fault in the guide or the reader of one answer; the others go on."""

    @classmethod
    def of(cls, error: BaseException) -> KimiError:
        """The error of one request for whatever was raised on its behalf: itself, if it is meant for people."""
        if isinstance(error, KimiError):
            return error
        reason = f"{type(error).__name__}: {error}"[:MAX_REASON]
        told = cls(f"The answer was ended by a fault in what steers or reads it ({reason}).")
        told.__cause__ = error
        return told


class SuspendedError(KimiError):
    """The model has given its memory back, and what was asked for needs it."""


class EngineDeadError(KimiError):
    """The engine's thread ended; every open request gets this error."""


class EngineStartingError(KimiError):
    """No engine is there yet, or again; one is being started."""


class ForkError(KimiError):
    """This process is a fork of one that loaded a model, and cannot run it or another."""

    def __init__(self, message: str = FORKED):
        super().__init__(message)
