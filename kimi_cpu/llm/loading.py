"""Loading a model: the options, and the engine that is made of them and of a file."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

from ..config import ModelConfig, in_words, size_bytes
from ..engine import DiskStore, Engine, Speculation
from ..errors import ConfigError, OutOfMemory
from ..files import user_folder
from ..kernels import cache_layer_bytes, runtime
from ..machine import usable_cores, usable_cpus, usable_memory
from ..model import PAGE_TOKENS, Kimi, KVCache
from ..model.weights import bind
from ..modelfile import HASHES, ModelFile
from ..plan import Needs

log = logging.getLogger(__name__)
KV = {"int8": ("f16", "int8"), "f32": ("f16", "f32")}  # cache types by compute
BUNDLED_MODEL = Path(__file__).parents[1] / "data" / "demo.gguf"  # its card is demo.md beside it
CACHE_SHARE = 8  # of the memory that this process may use, the part that the caches of several sequences take


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The options of kimi_cpu.load. ConfigError: a value is impossible.

    threads: default one a physical core, at most the CPUs that this process may run on. context: tokens a request may
    hold, default the model's own. kv: type of the cache: "f16", "int8" (with compute "int8") or "f32" (with compute
    "f32"). compute: "int8" (activations rounded to 8 bits per 32) or "f32" (exact). chunk: tokens a step at most.
    parallel: sequences that run at once. cache_memory: bytes, or as "8GiB", that the cache of all sequences may grow
    to; they are taken as they are needed. Default: an eighth of the memory that this process may use, or one context if
    that is more. speculate: draft tokens from what the text repeats, where that pays; the answer is the same.
    read_ahead: when a chat's turn has ended, compute what the next one's prompt will begin with while nothing else
    runs. cache_disk: bytes, or as "50GiB", of files in cache_dir that keep computed prompts for later runs, of all
    models together; default none. cache_dir: default $XDG_CACHE_HOME/kimi-cpu/prefixes. prompts_first: compute prompts
    as soon as they can be, for the sake of the whole; by default the answers that run beside them get half of the time.
    """

    threads: int | None = None
    context: int | None = None
    kv: str = "f16"
    compute: str = "int8"
    chunk: int = 512  # experts are read once a step, buffers stay below 100 MiB at K2's widths
    parallel: int = 16
    cache_memory: int | str | None = None
    speculate: bool = True
    read_ahead: bool = True
    cache_disk: int | str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    prompts_first: bool = False

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
        for name in ("cache_memory", "cache_disk"):
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


def options_of(keywords: Mapping[str, Any]) -> LoadOptions:
    """The options that keywords of kimi_cpu.load give. ConfigError: one is unknown, or impossible."""
    known = {f.name for f in fields(LoadOptions)}
    unknown = sorted(set(keywords) - known)
    if unknown:
        raise ConfigError(f"Unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    return LoadOptions(**{name: value for name, value in keywords.items() if value is not None})


def make_engine(file: ModelFile, options: LoadOptions) -> tuple[Engine, int]:
    """An engine over a file's weights, and the tokens of its context. ConfigError, ModelFileError, OutOfMemory."""
    config = file.config
    context, num_pages = _sizes(config, options, str(file.path))
    weights = bind(file)
    layers, latent, rope = config.num_hidden_layers, config.kv_lora_rank, config.qk_rope_head_dim
    cache = KVCache(options.kv, num_pages, layers, latent, rope)
    try:
        model = Kimi(config, weights, cache, max_tokens=min(options.chunk, context), int8=options.compute == "int8")
    except MemoryError as e:
        raise OutOfMemory(
            f"{file.path}: there is too little memory for the activations of {min(options.chunk, context)} tokens. "
            "Choose a smaller chunk, or give this process more address space (ulimit -v)."
        ) from e
    speculation = Speculation() if options.speculate else None
    store = (
        None if options.cache_disk is None else _store(file, options, size_bytes(options.cache_disk), cache.page_bytes)
    )
    fair = not options.prompts_first
    return Engine(model, options.parallel, speculation, store, fair), context


def _sizes(config: ModelConfig, options: LoadOptions, path: str) -> tuple[int, int]:
    """(tokens of context, pages of the cache). Pages hold one context at least, and all sequences' at most."""
    limit = config.max_position_embeddings
    context = limit if options.context is None else options.context
    if not 1 <= context <= limit:
        raise ConfigError(f"context is {context}; {path} allows 1 to {limit} tokens.")
    page_bytes = config.num_hidden_layers * cache_layer_bytes(options.kv, config.kv_lora_rank, config.qk_rope_head_dim)
    needed = -(-context // PAGE_TOKENS)
    given = None if options.cache_memory is None else size_bytes(options.cache_memory)
    if given is None:
        allowed = max(needed, usable_memory() // CACHE_SHARE // page_bytes)
    else:
        allowed = given // page_bytes
        if options.context is None and 0 < allowed < needed:
            context, needed = allowed * PAGE_TOKENS, allowed
    if allowed < needed:
        raise ConfigError(
            f"cache_memory is {given} bytes; a context of {context} tokens needs {needed * page_bytes}. "
            f"Choose a context of at most {allowed * PAGE_TOKENS} tokens, or more memory."
        )
    return context, min(allowed, options.parallel * needed)


def model_hash(file: ModelFile) -> str:
    """Names the weights: the SHA-256 over all hashes of the file, in hex."""
    return file.view(HASHES)[-32:].tobytes().hex()


def _store(file: ModelFile, options: LoadOptions, limit_bytes: int, page_bytes: int) -> DiskStore | None:
    """Pages are found again by the same weights, cache, arithmetic and instruction set only: the same bits.

    None, and a warning, when the directory cannot be used: answers come without it.
    """
    if limit_bytes < 2 * page_bytes:
        raise ConfigError(f"cache_disk is {limit_bytes} bytes; a page of 64 tokens alone takes {page_bytes}.")
    namespace = " ".join([model_hash(file), options.kv, options.compute, runtime.isa().name])
    home = user_folder("CACHE")
    if options.cache_dir is not None:
        directory = Path(options.cache_dir)
    elif home is not None:
        directory = home / "prefixes"
    else:
        log.warning("there is no home directory; prefixes are not kept on disk. cache_dir can name a folder.")
        return None
    try:
        return DiskStore(directory, limit_bytes, namespace)
    except OSError as e:
        log.warning("cache_dir %s cannot be used (%s); prefixes are not kept on disk.", directory, e.strerror)
        return None


def num_threads(options: LoadOptions) -> int:
    """Of the kernels. More than there are CPUs would only wait for each other, and each takes memory."""
    return min(options.threads or usable_cores(), usable_cpus())


def notices(path: Path, needs: Needs, memory: int, options: LoadOptions) -> tuple[str, ...]:
    """Sentences for the owner of a model before it runs: fewer threads are used than were asked for, or the weights are
    larger than the memory. memory: bytes that this process may use."""
    told: list[str] = []
    threads = num_threads(options)
    if needs.weights > memory:
        told.append(
            f"{path} has {in_words(needs.weights)} of weights, but this process may use {in_words(memory)} of memory: "
            f"up to {in_words(needs.from_disk(memory))} are read from disk for one token (see `kimi-cpu plan {path}`)."
        )
    if options.threads is not None and options.threads > threads:
        told.append(
            f"{options.threads} threads were asked for, and {threads} are used: so many CPUs may this process run on."
        )
    return tuple(told)


def bundled_note() -> str:
    """The sentence of a program that falls back to the bundled model: its size, and how to get a better one."""
    with ModelFile.open(BUNDLED_MODEL) as file:
        millions = file.num_weights / 1e6
    return (
        f"bundled demonstration model, {millions:.1f} million parameters; for real answers: "
        "kimi-cpu convert Kimi-K2-Thinking -o k2.gguf, then -m k2.gguf"
    )
