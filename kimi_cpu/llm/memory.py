"""How the memory that a model may use is shared out: its weights, the cache, activations, and the program itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..config import ModelConfig, in_words, size_bytes
from ..errors import ConfigError, OutOfMemory
from ..kernels import cache_layer_bytes
from ..machine import address_space, free_memory, usable_memory
from ..model import PAGE_TOKENS
from ..model.workspace import Workspace
from ..plan import EXPERTS, needs
from .options import LoadOptions

CACHE_SHARE = 8  # of the memory that this process may use, the part that the caches of several sequences take
RESERVE = 16  # of the memory that is free, the part that is left to others unless a budget is given
LEAST_CONTEXT = 2048  # tokens, unless it is given: an eighth of a small budget would be too little for a talk
CHUNK = 512  # tokens a step: experts are read from memory once a step, activations take 340 MB at K2's widths
LONG_CHUNKS = (1024, 2048, 4096)  # where experts are read from disk once a step: the longest step wins
LONG_SHARE = 32  # of the memory, the part that the activations of a longer chunk may take besides
PROGRAM = 320 << 20  # Python, compiled code, kernels' scratch, texts: 200 MB after 16 sequences


class Shares(NamedTuple):
    """memory: bytes in all. context: tokens of a request at most. chunk: tokens of a step at most. num_pages: of the
    cache. num_slots: experts that there is room for beside all other weights, slot_bytes each; None: there is room for
    all of them, and the file is mapped."""

    memory: int
    context: int
    chunk: int
    num_pages: int
    num_slots: int | None
    slot_bytes: int


def share_memory(path: Path, config: ModelConfig, sizes: Mapping[str, int], options: LoadOptions) -> Shares:
    """The shares for a model file. sizes: bytes of its tensors by name.

    ConfigError: the context or the cache cannot be. OutOfMemory: the memory that was given is too small for a token's
    experts of one layer beside all that is always there.
    """
    memory = free_memory() - free_memory() // RESERVE
    if options.memory is not None:
        memory = min(size_bytes(options.memory), usable_memory())
    page_bytes = bytes_of_page(config, options)
    context, num_pages = _cache(path, config, options, page_bytes)
    chunk = options.chunk or CHUNK
    weights, slot_bytes = needs(config, sizes, kv=options.kv), _expert_bytes(config, sizes)
    least = num_pages if options.cache_memory is not None else pages_of(context)
    left = memory - _always(config, options, context) - weights.weights
    if left >= least * page_bytes:
        num_pages = max(least, min(num_pages, left // page_bytes))
        return Shares(memory, context, min(chunk, context), num_pages, None, slot_bytes)

    needed = least_memory(path, config, sizes, options)
    spare = memory - needed
    if options.memory is None and (spare < 0 or address_space() is not None):
        return Shares(memory, context, min(chunk, context), num_pages, None, slot_bytes)  # the system pages
    least = _least_pages(options, context, num_pages, slot_bytes)
    if spare < 0:
        raise OutOfMemory(
            f"{path}: at least {needed:,} bytes of memory are needed for the weights that every token reads "
            f"({in_words(weights.dense)}), a cache of {least * PAGE_TOKENS} tokens, the program, and one layer's "
            f"experts of a token; memory is {memory:,}. Give it more, or choose a smaller context or chunk."
        )
    if options.chunk is None:
        for longer in LONG_CHUNKS:
            more = _activations(config, options, longer) - _activations(config, options, chunk)
            if longer <= context and more <= min(memory // LONG_SHARE, spare // 4):
                chunk, spare = longer, spare - more
    if options.cache_memory is None:
        num_pages = least + min(max(0, memory // CACHE_SHARE - least * page_bytes), spare // 2) // page_bytes
    if options.context is None:
        context = min(context, num_pages * PAGE_TOKENS)
    num_pages = min(num_pages, options.parallel * pages_of(context))
    num_slots = config.num_experts_per_tok + (spare - (num_pages - least) * page_bytes) // slot_bytes
    return Shares(memory, context, min(chunk, context), num_pages, min(num_slots, weights.num_experts), slot_bytes)


def least_memory(path: Path, config: ModelConfig, sizes: Mapping[str, int], options: LoadOptions) -> int:
    """Bytes of memory with which a model file just runs: the weights that every token reads, one layer's experts of a
    token, the cache, activations and the program. ConfigError: as share_memory."""
    page_bytes, slot_bytes = bytes_of_page(config, options), _expert_bytes(config, sizes)
    context, num_pages = _cache(path, config, options, page_bytes)
    cache = _least_pages(options, context, num_pages, slot_bytes) * page_bytes
    experts = slot_bytes * config.num_experts_per_tok
    return _always(config, options, context) + needs(config, sizes, kv=options.kv).dense + experts + cache


def pages_of(tokens: int) -> int:
    """Pages of the cache that so many tokens take."""
    return -(-tokens // PAGE_TOKENS)


def _cache(path: Path, config: ModelConfig, options: LoadOptions, page_bytes: int) -> tuple[int, int]:
    """(tokens of context, pages of the cache). Pages hold one context at least, and all sequences' at most."""
    limit = config.max_position_embeddings
    context = limit if options.context is None else options.context
    if not 1 <= context <= limit:
        raise ConfigError(f"context is {context}; {path} allows 1 to {limit} tokens.")
    needed = pages_of(context)
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


def _least_pages(options: LoadOptions, context: int, num_pages: int, slot_bytes: int) -> int:
    """Pages of the cache without which a model does not run. num_pages: those that it would have."""
    if options.cache_memory is not None:
        return num_pages
    return pages_of(min(context, LEAST_CONTEXT) if slot_bytes and options.context is None else context)


def bytes_of_page(config: ModelConfig, options: LoadOptions) -> int:
    """Bytes of a page of the cache."""
    return config.num_hidden_layers * cache_layer_bytes(options.kv, config.kv_lora_rank, config.qk_rope_head_dim)


def _expert_bytes(config: ModelConfig, sizes: Mapping[str, int]) -> int:
    """Bytes of the largest routed expert; 0 when there are none."""
    layers = [size for name, size in sizes.items() if name.endswith(EXPERTS)]
    return max(layers, default=0) // max(1, config.n_routed_experts)


def _always(config: ModelConfig, options: LoadOptions, context: int) -> int:
    """Bytes for the program and the activations of the shortest chunk."""
    return _activations(config, options, min(options.chunk or CHUNK, context)) + PROGRAM


def _activations(config: ModelConfig, options: LoadOptions, tokens: int) -> int:
    """Bytes for the activations of a step."""
    return Workspace(config, tokens, options.compute == "int8").nbytes
