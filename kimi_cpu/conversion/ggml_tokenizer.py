"""Kimi's tokenizer as the metadata arrays that llama.cpp reads (tokenizer.ggml.*)."""

import json

from ..errors import CheckpointError
from ..tokenizer import special_tokens_from_config
from ..tokenizer.vocabulary import byte_characters, read_ranks
from .native import check_tokenizer
from .source import Source

NORMAL, CONTROL = 1, 3  # llama.cpp: llama_token_type
NAMED = {"eot": "<|im_end|>", "padding": "[PAD]", "unknown": "[UNK]"}


def tokenizer_metadata(source: Source) -> dict:
    """{key: value} of the vocabulary; tokenizer.ggml.model "none" and a warning when the checkpoint has none.

    Raises CheckpointError when the tokenizer cannot be used, or has another size than vocab_size.
    """
    config = source.config
    metadata = {}
    if config.bos_token_id is not None:
        metadata["tokenizer.ggml.bos_token_id"] = config.bos_token_id
    if config.eos_token_ids:
        metadata["tokenizer.ggml.eos_token_id"] = config.eos_token_ids[0]
    if "chat_template" in source.texts:
        metadata["tokenizer.chat_template"] = source.texts["chat_template"]
    if source.ranks is None:
        source.warnings.append(
            f"{source.path} has no tokenizer (tiktoken.model): the file will take token ids, not text."
        )
        return metadata | {"tokenizer.ggml.model": "none"}
    check_tokenizer(source)
    base = read_ranks(source.ranks)
    text = source.texts.get("tokenizer_config")
    special = special_tokens_from_config(None if text is None else json.loads(text), len(base))
    tokens = byte_characters(base) + sorted(special, key=special.get)
    if len(tokens) != config.vocab_size:
        raise CheckpointError(
            f"{source.path}: the tokenizer has {len(tokens):,} tokens, but vocab_size is {config.vocab_size:,}; "
            "llama.cpp needs them equal."
        )
    return metadata | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "kimi-k2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [NORMAL] * len(base) + [CONTROL] * len(special),
        "tokenizer.ggml.merges": merges(base),
        "tokenizer.ggml.add_bos_token": False,
        **{f"tokenizer.ggml.{key}_token_id": special[name] for key, name in NAMED.items() if name in special},
    }


def merges(tokens: list[bytes]) -> list[str]:
    """The pairs "left right" that make the tokens, in order of rank, in byte characters.

    A pair is what byte pair encoding with only the lower ranks leaves of a token (llama.cpp, QwenModel.bpe).
    """
    ranks = {token: rank for rank, token in enumerate(tokens)}
    pairs = []
    for rank, token in enumerate(tokens):
        if len(token) > 1:
            parts = _encode(token, ranks, rank)
            if len(parts) == 2:
                pairs.extend(parts)
    characters = byte_characters(pairs) if pairs else []
    return [f"{left} {right}" for left, right in zip(characters[0::2], characters[1::2], strict=True)]


def _encode(text: bytes, ranks: dict[bytes, int], limit: int) -> list[bytes]:
    """The parts that byte pair encoding with the ranks below the limit leaves."""
    parts = [text[i : i + 1] for i in range(len(text))]
    while len(parts) > 1:
        candidates = [ranks.get(a + b, limit) for a, b in zip(parts, parts[1:], strict=False)]
        best = min(candidates)
        if best >= limit:
            break
        at = candidates.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts
