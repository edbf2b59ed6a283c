"""Byte-pair merges learned from a corpus, written as Kimi's tiktoken.model with Kimi's special tokens."""

import heapq
import json
import re
from base64 import b64encode
from collections import Counter, defaultdict
from pathlib import Path

from kimi_cpu.chat.template import kimi_template
from kimi_cpu.tokenizer import Tokenizer
from kimi_cpu.tokenizer.pretokenize import pieces

SPECIAL = re.compile(r"<\|\w+\|>|</?think>|\[EOS\]")
TAGS = ("<think>", "</think>", "<|tool_call")  # not flagged special: skip_special_tokens keeps them


def learn(texts: list[str], size: int) -> list[bytes]:
    """size tokens, the 256 bytes first (those that print before the others, as GPT-2 and Kimi order them). Pieces with
    digits stay single bytes, so that a number is read digit by digit."""
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    tokens = [bytes([b]) for b in printing + [b for b in range(256) if b not in printing]]
    ordinary = (part for text in texts for part in SPECIAL.split(text))
    counts = Counter(piece for part in ordinary for piece in pieces(part) if not any(c.isdigit() for c in piece))
    words = [([bytes([b]) for b in piece.encode()], n) for piece, n in sorted(counts.items()) if n > 1]
    pairs: Counter = Counter()
    places = defaultdict(set)
    for i, (word, n) in enumerate(words):
        for pair in zip(word, word[1:], strict=False):
            pairs[pair] += n
            places[pair].add(i)
    heap = [(-n, pair) for pair, n in pairs.items()]
    heapq.heapify(heap)
    known = set(tokens)
    while len(tokens) < size:
        count, pair = heapq.heappop(heap)
        if pairs[pair] != -count:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        merged = pair[0] + pair[1]
        if merged not in known:
            known.add(merged)
            tokens.append(merged)
        changed = set()
        for i in places.pop(pair):
            word, n = words[i]
            for old in zip(word, word[1:], strict=False):
                pairs[old] -= n
            word = _merge(word, pair)
            words[i] = (word, n)
            for new in zip(word, word[1:], strict=False):
                pairs[new] += n
                places[new].add(i)
                changed.add(new)
        for new in changed:
            heapq.heappush(heap, (-pairs[new], new))
    return tokens


def _merge(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def write(tokens: list[bytes], directory: Path) -> Tokenizer:
    """tiktoken.model, tokenizer_config.json and chat_template.jinja in a checkpoint's directory; the tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    ranks = b"".join(b"%s %d\n" % (b64encode(token), rank) for rank, token in enumerate(tokens))
    (directory / "tiktoken.model").write_bytes(ranks)
    named = {text: i for text, i in Tokenizer(ranks).special_tokens.items() if "reserved" not in text}
    decoder = {str(i): {"content": text, "special": not text.startswith(TAGS)} for text, i in named.items()}
    config = {
        "added_tokens_decoder": decoder,
        "tokenizer_class": "TikTokenTokenizer",
        "bos_token": "[BOS]",
        "eos_token": "[EOS]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "model_max_length": 8192,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (directory / "chat_template.jinja").write_text(kimi_template(), encoding="utf-8")
    return Tokenizer.load(directory)
