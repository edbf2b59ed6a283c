"""Encoding and decoding: this tokenizer, tiktoken and SentencePiece alone, on one core. Writes results-tokenizer.md.

    python benchmarks/tokenizer.py [--rounds 9] [--megabytes 1]

tiktoken runs the official pattern on the parts that the official encoder cuts (cut beforehand); its ids are compared
with ours before anything is timed. SentencePiece alone gets the same compiled model and the whole text as one piece:
other ids, and the time that merging alone takes. The contenders take turns in every round, so that whatever else the
machine does meets all of them; medians are reported.
"""

import argparse
import os
import platform
import pydoc_data.topics
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from itertools import accumulate, chain
from pathlib import Path
from random import Random
from statistics import median

import sentencepiece
import tiktoken

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kimi_cpu.tokenizer import Tokenizer, compile_sentencepiece, pretokenize  # noqa: E402
from kimi_cpu.tokenizer.vocabulary import byte_characters  # noqa: E402
from tests.tokenizer.oracle import PATTERN  # noqa: E402

RANKS = ROOT / "tests" / "data" / "tiktoken.model"
RESULTS = Path(__file__).with_name("results-tokenizer.md")


def english(num_bytes: int) -> str:
    """Prose: Python's own language reference, as the interpreter carries it."""
    return _cycled("\n".join(text for _, text in sorted(pydoc_data.topics.topics.items())), num_bytes)


def code(num_bytes: int) -> str:
    """Source: the standard library's largest modules."""
    files = sorted(Path(os.__file__).parent.glob("*.py"), key=lambda path: -path.stat().st_size)
    return _cycled("".join(path.read_text(errors="replace") for path in files[:20]), num_bytes)


def chinese(num_bytes: int, tokenizer: Tokenizer) -> str:
    """Clauses of 4 to 20 Chinese tokens, frequent ones more often (Zipf), between punctuation marks."""
    random = Random(0)
    tokens = map(tokenizer.token_bytes, range(256, tokenizer.n_vocab - 256))
    words = [
        t.decode()
        for t in tokens
        if len(t) % 3 == 0 and all("\u4e00" <= c <= "\u9fff" for c in t.decode(errors="replace"))
    ]
    weights = list(accumulate(1 / (rank + 10) for rank in range(len(words))))
    text, size = [], 0
    while size < num_bytes:
        clause = "".join(random.choices(words, cum_weights=weights, k=random.randrange(4, 20))) + random.choice(
            "，，，。。！？；\n"
        )
        text.append(clause)
        size += len(clause.encode())
    return "".join(text)


def word(num_bytes: int) -> str:
    """One word of random small letters."""
    return "".join(Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=num_bytes))


def _cycled(text: str, num_bytes: int) -> str:
    """About that many bytes of a text, begun again where it ends."""
    size = len(text.encode())
    return (text * (num_bytes // size + 1))[: num_bytes * len(text) // size]


def alternate(contenders: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds a call of each contender, one call a round in turn; the first round warms up and is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in seconds.items()}


def measure(texts: dict[str, str], tokenizer: Tokenizer, official, processor, rounds: int) -> list[str]:
    """Table rows: MB/s of encoding and of decoding for each text."""
    rows = []
    for name, text in texts.items():
        megabytes = len(text.encode()) / 1e6
        ids = tokenizer.encode(text)
        parts = list(pretokenize.parts(text))
        if ids != encode_parts(official, parts):
            raise SystemExit(f"{name}: the ids differ from tiktoken's; nothing is measured.")
        mapped = byte_characters([text.encode()])[0]
        pieces = processor.encode(mapped)
        encoders = {
            "kimi-cpu": lambda text=text: tokenizer.encode(text),
            "tiktoken": lambda parts=parts: encode_parts(official, parts),
            "sentencepiece": lambda mapped=mapped: processor.encode(mapped),
        }
        decoders = {
            "kimi-cpu": lambda ids=ids: tokenizer.decode(ids),
            "tiktoken": lambda ids=ids: official.decode(ids),
            "sentencepiece": lambda pieces=pieces: processor.decode(pieces),
        }
        for verb, contenders in (("encode", encoders), ("decode", decoders)):
            cells = (_cell(megabytes, values) for values in alternate(contenders, rounds).values())
            rows.append(f"| {verb} | {name}, {megabytes:.2f} MB, {len(ids):,} tokens | " + " | ".join(cells) + " |")
    return rows


def encode_parts(official: tiktoken.Encoding, parts: list[str]) -> list[int]:
    """tiktoken's ids of the parts, joined."""
    return list(chain.from_iterable(official.encode(part, allowed_special="all") for part in parts))


def _cell(megabytes: float, seconds: list[float]) -> str:
    """Median MB/s, and the slowest and the fastest round."""
    return f"{megabytes / median(seconds):.1f} ({megabytes / max(seconds):.1f}-{megabytes / min(seconds):.1f})"


def starts(ranks: bytes, compiled: bytes, special_tokens: dict[str, int], rounds: int) -> list[str]:
    """Table rows: seconds until a tokenizer is ready, from bytes in memory."""
    contenders = {
        "kimi-cpu, from a model file (compiled)": lambda: Tokenizer(ranks, compiled),
        "kimi-cpu, from tiktoken.model": lambda: Tokenizer(ranks),
        "tiktoken": lambda: make_tiktoken(ranks, special_tokens),
        "sentencepiece alone": lambda: sentencepiece.SentencePieceProcessor(model_proto=compiled),
    }
    return [f"| {name} | {median(values):.3f} |" for name, values in alternate(contenders, rounds).items()]


def make_tiktoken(ranks: bytes, special_tokens: dict[str, int]) -> tiktoken.Encoding:
    """tiktoken with Kimi's pattern."""
    mergeable = {b64decode(token): int(rank) for token, rank in (line.split() for line in ranks.splitlines())}
    return tiktoken.Encoding("kimi", pat_str=PATTERN, mergeable_ranks=mergeable, special_tokens=special_tokens)


def machine() -> str:
    """Processor, cores and versions in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "sentencepiece", "tiktoken"))
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {packages}; commit {commit.strip()}, {date.today()}"
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--megabytes", type=float, default=1.0)
    options = parser.parse_args()
    ranks = RANKS.read_bytes()
    compiled = compile_sentencepiece(ranks)
    tokenizer = Tokenizer(ranks, compiled)
    official = make_tiktoken(ranks, tokenizer.special_tokens)
    processor = sentencepiece.SentencePieceProcessor(model_proto=compiled)
    size = int(options.megabytes * 1e6)
    texts = {"English": english(size), "Chinese": chinese(size, tokenizer), "code": code(size), "one word": word(size)}
    lines = [
        "# Tokenizer throughput",
        "",
        f"Written by benchmarks/tokenizer.py: one thread, {options.rounds} alternating rounds,",
        "MB/s of UTF-8: median (slowest-fastest).",
        "",
        f"{machine()}.",
        "",
        "The ids of kimi-cpu and tiktoken are equal (checked before timing). SentencePiece alone merges the whole text",
        "without pre-tokenisation, to other ids.",
        "",
        "| | text | kimi-cpu | tiktoken | sentencepiece alone |",
        "|---|---|---|---|---|",
        *measure(texts, tokenizer, official, processor, options.rounds),
        "",
        "| ready after (s) | |",
        "|---|---|",
        *starts(ranks, compiled, tokenizer.special_tokens, options.rounds),
    ]
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
