"""The work of an engine on another host: which model, how it is loaded, and the host's part of its memory and CPUs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ..errors import ConfigError

PLACE = "{}"  # in a command that fetches a model, where it is to write


@dataclass(frozen=True)
class Work:
    """The work that all engines of a run do. model: a path that means the same on every host; None: the bundled one.
    fetch: a shell command that brings the model to a host that lacks it, to the path that stands for {} in it. loading:
    keywords of load. mixed: hosts of other kernel tiers may take part. ConfigError: the command does not say {}, or
    there is nothing to fetch."""

    model: str | None
    fetch: str | None
    loading: Mapping[str, Any]
    mixed: bool

    def __post_init__(self) -> None:
        if self.fetch is not None and self.model is None:
            raise ConfigError("The bundled model is on every host. Name the one to fetch with -m.")
        if self.fetch is not None and PLACE not in self.fetch:
            raise ConfigError(f"The command that fetches the model must say {PLACE} where the file's path belongs.")

    def packed(self) -> bytes:
        """As bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """Made of what `packed` gave."""
        return cls(**json.loads(data))


@dataclass(frozen=True)
class BatchWork(Work):
    """That of a batch. seed, defaults: see LanguageModel."""

    seed: int
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The part of a host that is one engine's: the number-th of `count`, with the CPUs and the bytes of memory that
    Ray was told the engine may use."""

    number: int
    count: int
    num_cpus: int
    memory: int
