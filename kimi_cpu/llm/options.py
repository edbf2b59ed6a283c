"""The options of kimi_cpu.load."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from ..config import size_bytes
from ..errors import ConfigError

Progress = Callable[[int, int], None]  # (done, in all)
OnPressure = Callable[[int], object]  # (bytes that are missing)
MAX_NICE = 19
NUMA = ("interleave", "off")
KV = {"int8": ("f16", "int8"), "f32": ("f16", "f32")}  # cache types by compute


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The options of kimi_cpu.load. ConfigError: a value is impossible.

    threads: default one a physical core, at most the CPUs that this process may run on. context: tokens a request may
    hold, default the model's own. kv: type of the cache: "f16", "int8" (with compute "int8") or "f32" (with compute
    "f32"). compute: "int8" (activations rounded to 8 bits per 32) or "f32" (exact). chunk: tokens a step at most,
    default 512, or up to 4,096 when experts are read from disk. parallel: sequences that run at once. cache_memory:
    bytes, or as "8GiB", that the cache of all sequences may grow to; they are taken as they are needed. Default: an
    eighth of the memory that this process may use, or one context if that is more. speculate: draft tokens from what
    the text repeats, where that pays; the answer is the same. read_ahead: when a chat's turn has ended, compute what
    the next one's prompt will begin with while nothing else runs. cache_disk: bytes, or as "50GiB", of files in
    cache_dir that keep computed prompts for later runs, of all models together; default none. cache_dir: default
    $XDG_CACHE_HOME/kimi-cpu/prefixes. prompts_first: compute prompts as soon as they can be, for the sake of the whole;
    by default the answers that run beside them get half of the time. memory: bytes, or as "48GiB", that all of it may
    take; a file that does not fit keeps in them the experts that are used most, and reads the others from disk as they
    are needed. Default: what is free, less a sixteenth. preload: read a file that fits when it is loaded, at the disk's
    speed, and not as tokens need it; of a larger one, the experts that its last run used most of late. record_experts:
    count how often each expert is used (LLM.expert_uses), which takes a return to Python in each layer. nice: 1 to 19,
    by how much the threads that compute give way to other programs (Linux; nothing elsewhere); answers are the same.
    numa: on a machine with several memory nodes, "interleave" spreads the weights evenly over them; "off" leaves them
    where they are first read. on_pressure: called from a thread of its own with the bytes that are missing, when there
    is too little memory and experts cannot give back more, every ten seconds as long as that lasts; it may call
    LLM.suspend.
    """

    threads: int | None = None
    context: int | None = None
    kv: str = "f16"
    compute: str = "int8"
    chunk: int | None = None
    parallel: int = 16
    cache_memory: int | str | None = None
    speculate: bool = True
    read_ahead: bool = True
    cache_disk: int | str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    prompts_first: bool = False
    memory: int | str | None = None
    preload: bool = True
    record_experts: bool = False
    nice: int = 0
    numa: str = "interleave"
    on_pressure: OnPressure | None = None

    def __post_init__(self) -> None:
        if self.compute not in KV:
            raise ConfigError(f"compute is {self.compute!r}; it must be one of {', '.join(KV)}.")
        if self.kv not in KV[self.compute]:
            raise ConfigError(
                f"kv is {self.kv!r}; with compute {self.compute} it must be one of {', '.join(KV[self.compute])}."
            )
        for name in ("chunk", "context", "parallel", "threads"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ConfigError(f"{name} is {value!r}; it must be a whole number, 1 or more.")
        if self.numa not in NUMA:
            raise ConfigError(f"numa is {self.numa!r}; it must be one of {', '.join(NUMA)}.")
        if type(self.nice) is not int or not 0 <= self.nice <= MAX_NICE:
            raise ConfigError(f"nice is {self.nice!r}; it must be a whole number from 0 to {MAX_NICE}.")
        for name in ("cache_memory", "cache_disk", "memory"):
            value = getattr(self, name)
            if value is not None:
                size_bytes(value)
        if self.cache_dir is not None and self.cache_disk is None:
            raise ConfigError("cache_dir is given without cache_disk, the bytes that may lie there.")


class LoadKeywords(TypedDict, total=False):
    """Keywords of kimi_cpu.load: the fields of LoadOptions. None is as good as absent."""

    threads: int | None
    context: int | None
    kv: str | None
    compute: str | None
    chunk: int | None
    parallel: int | None
    cache_memory: int | str | None
    speculate: bool | None
    read_ahead: bool | None
    cache_disk: int | str | None
    cache_dir: str | os.PathLike[str] | None
    prompts_first: bool | None
    memory: int | str | None
    preload: bool | None
    record_experts: bool | None
    nice: int | None
    numa: str | None
    on_pressure: OnPressure | None


def options_of(keywords: Mapping[str, Any]) -> LoadOptions:
    """The options that keywords of kimi_cpu.load give. ConfigError: one is unknown, or impossible."""
    known = {f.name for f in fields(LoadOptions)}
    unknown = sorted(set(keywords) - known)
    if unknown:
        raise ConfigError(f"Unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    return LoadOptions(**{name: value for name, value in keywords.items() if value is not None})
