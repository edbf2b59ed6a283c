"""Searches for where the grammar compiler breaks, and says how far below it the limits of schemas lie.

    python tools/probe_schema_limits.py [--dimension NAME] [--seconds 1] [--megabytes 1024] [--combinations 200]

Each dimension is a family of schemas of growing size. Its members are compiled in child processes with limits of time
and memory; then a text is begun under the grammar. A member breaks when the child dies, or takes too long or too much
to compile, to copy, to compute one mask, to take one token, or to look for the shortest way out. Sizes are doubled and
then halved until the last good and the first bad one are near; the limits are off meanwhile. With the limits on, the
largest member that they let through is measured, and after that random combinations of several dimensions at theirs.
"""

import argparse
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kimi_cpu.chat import schema, schema_document  # noqa: E402
from kimi_cpu.chat.ending import JsonState, way_out  # noqa: E402
from kimi_cpu.chat.grammar import Vocabulary  # noqa: E402
from kimi_cpu.errors import AnswerError, RequestError  # noqa: E402
from kimi_cpu.tokenizer import Tokenizer  # noqa: E402

TOKENIZER = ROOT / "tests" / "data" / "tiktoken.model"
MAX_SIZE = 1 << 24
NUM_TOKENS = 150  # of the text that is begun
STRING, INTEGER = {"type": "string"}, {"type": "integer"}
WELL = ("good", "refused")
MAX_MARGIN = 16  # times a limit, beyond which nothing is looked for


def an_object(num_properties: int, required: bool = True, of: dict | None = None) -> dict:
    """An object of properties of one kind."""
    names = [f"p{i}" for i in range(num_properties)]
    schema = {"type": "object", "properties": dict.fromkeys(names, of or STRING), "additionalProperties": False}
    return schema | ({"required": names} if required else {})


def an_open_object(name: str) -> dict:
    """An object of one property and any others."""
    return {"type": "object", "properties": {name: STRING}, "required": [name]}


def nested(depth: int, wrap: Callable[[dict], dict]) -> dict:
    """A schema inside so many others."""
    schema = STRING
    for _ in range(depth):
        schema = wrap(schema)
    return schema


def chain(length: int, link: Callable[[dict], dict]) -> dict:
    """Definitions of which each one refers to the next."""
    defs = {f"d{i}": link({"$ref": f"#/$defs/d{i + 1}"}) for i in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{length}": STRING}}


def text(pattern: str) -> dict:
    """Strings that a pattern matches."""
    return {"type": "string", "pattern": pattern}


DIMENSIONS: dict[str, Callable[[int], dict]] = {
    "required": an_object,
    "required, no properties": lambda n: {"type": "object", "required": [f"p{i}" for i in range(n)]},
    "optional": lambda n: an_object(n, required=False),
    "optional, others too": lambda n: an_object(n, required=False) | {"additionalProperties": INTEGER},
    "long name": lambda n: {"type": "object", "properties": {"a" * n: STRING}, "required": ["a" * n]},
    "nested objects": lambda n: nested(n, lambda s: {"type": "object", "properties": {"a": s}, "required": ["a"]}),
    "nested arrays": lambda n: nested(n, lambda s: {"type": "array", "items": s, "minItems": 1}),
    "nested anyOf": lambda n: nested(n, lambda s: {"anyOf": [s, INTEGER]}),
    "nested allOf": lambda n: nested(n, lambda s: {"allOf": [s, {"minLength": 1}]}),
    "chain of references": lambda n: chain(n, lambda ref: {"type": "object", "properties": {"a": ref}}),
    "chain through arrays": lambda n: chain(n, lambda r: {"type": "array", "items": {"type": "array", "items": r}}),
    "chain of allOf": lambda n: chain(n, lambda ref: {"allOf": [ref, ref]}),
    "chain of anyOf": lambda n: chain(n, lambda ref: {"anyOf": [ref, INTEGER]}),
    "doubling references": lambda n: chain(n, lambda ref: an_object(2, of=ref)),
    "anyOf objects": lambda n: {"anyOf": [an_object(2, of={"const": i}) for i in range(n)]},
    "anyOf alike": lambda n: {"anyOf": [an_object(2, required=False) for _ in range(n)]},
    "oneOf by const": lambda n: {"oneOf": [an_object(1, of={"const": f"v{i}"}) for i in range(n)]},
    "allOf objects": lambda n: {"allOf": [an_open_object(f"p{i}") for i in range(n)]},
    "allOf times anyOf": lambda n: {
        "allOf": [{"anyOf": [an_open_object(f"a{i}"), an_open_object(f"b{i}")]} for i in range(n)]
    },
    "enum of texts": lambda n: {"enum": [f"value {i}" for i in range(n)]},
    "enum of integers": lambda n: {"enum": list(range(n))},
    "const": lambda n: {"const": "ab" * (n // 2)},
    "const, nested": lambda n: {"const": json.loads("[" * n + "]" * n)},
    "minLength": lambda n: {"type": "string", "minLength": n},
    "maxLength": lambda n: {"type": "string", "maxLength": n},
    "minItems": lambda n: {"type": "array", "items": INTEGER, "minItems": n},
    "maxItems": lambda n: {"type": "array", "items": an_object(3), "minItems": n // 2, "maxItems": n},
    "maxItems, nested": lambda n: nested(3, lambda s: {"type": "array", "items": s, "minItems": n // 2, "maxItems": n}),
    "prefixItems": lambda n: {"type": "array", "prefixItems": [INTEGER] * n, "minItems": n},
    "pattern, length": lambda n: text("^" + "ab" * (n // 2) + "$"),
    "pattern, repetitions": lambda n: text(f"^[a-z]{{{n}}}$"),
    "pattern, nested repetitions": lambda n: text(f"^((ab?){{{int(n**0.5)}}}){{{int(n**0.5)}}}$"),
    "pattern, optional": lambda n: text(f"^(ab){{0,{n // 2}}}$"),
    "pattern, unicode": lambda n: text(rf"^\w{{{n}}}$"),
    "pattern, search": lambda n: text(f"a.{{{n}}}b"),
    "pattern, alternatives": lambda n: text("^(" + "|".join(f"v{i}" for i in range(n)) + ")$"),
    "pattern, stars": lambda n: text("^" + "(.*a.*b)?" * n + "$"),
    "pattern, counter": lambda n: text(f"(a|b)*a(a|b){{{n}}}"),
    "pattern, groups": lambda n: text("^" + "(" * n + "a" + ")" * n + "$"),
    "patterns of one text": lambda n: {"allOf": [text(f"a{{{i + 1}}}") for i in range(n)]},
    "patterns apart": lambda n: {
        "type": "object",
        "properties": {f"p{i}": text(f"^[a-z]{{{i}}}x$") for i in range(n)},
        "required": [f"p{i}" for i in range(n)],
    },
    "searches apart": lambda n: {
        "type": "object",
        "properties": {f"p{i}": text(f"a.{{{i}}}b.{{{i}}}c") for i in range(n)},
        "required": [f"p{i}" for i in range(n)],
    },
    "patterns that compete": lambda n: {"anyOf": [text(f"a.{{{i}}}b") for i in range(n)]},
    "patternProperties": lambda n: {"type": "object", "patternProperties": {f"^p{i}x*$": STRING for i in range(n)}},
    "patternProperties and names": lambda n: (
        an_object(100) | {"patternProperties": {f"^q{i}x*$": STRING for i in range(n)}}
    ),
    "multipleOf": lambda n: {"type": "integer", "multipleOf": n},
    "decimals": lambda n: {"type": "number", "minimum": 1 / n, "maximum": 1 + 1 / n},
    "formats apart": lambda n: an_object(n, of={"type": "string", "format": "email"}),
}


class Broken(Exception):
    """Something took too long."""


def limits_off() -> None:
    """All limits beyond what is tried."""
    for module in (schema_document, schema):
        for name in vars(module):
            if name.startswith("MAX_"):
                setattr(module, name, 10**12)
    sys.setrecursionlimit(10**6)


def try_schema(vocabulary: Vocabulary, schema: dict, seconds: float, seed: int) -> dict[str, float]:
    """Milliseconds of each of the steps, the slowest of each kind. RequestError: it is refused. Broken."""
    worst: dict[str, float] = {}

    def timed(what: str, step: Callable, *args):
        start = time.process_time()  # other processes may run beside it
        try:
            return step(*args)
        finally:
            took = time.process_time() - start
            worst[what] = max(worst.get(what, 0), 1e3 * took)
            if took > seconds:
                raise Broken(f"{what}: {took:.2f} s")

    grammar = timed("compile", vocabulary.answer_grammar, schema)
    rng, state, matcher = np.random.default_rng(seed), JsonState(), timed("copy", grammar.matcher)
    give_up_at = time.process_time() + 5 * seconds
    for count in range(NUM_TOKENS):
        try:
            mask = timed("mask", vocabulary.allowed, matcher)
        except AnswerError:
            break  # it ends this answer, which is as it should be
        ids = np.flatnonzero(mask)
        if not len(ids) or matcher.is_stopped() or time.process_time() > give_up_at:
            break
        token_id = int(ids[vocabulary.lengths[ids].argmax()] if count % 3 == 0 else rng.choice(ids))
        if count % 50 == 0:
            timed("way out", way_out, vocabulary, grammar, matcher, state, KIMI.token_bytes)
        if not timed("token", matcher.consume_token, token_id):
            break
        state.feed(KIMI.token_bytes(token_id))
    worst["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return worst


def in_child(work: Callable[[], dict[str, float]], seconds: float, megabytes: int) -> tuple[str, dict[str, float]]:
    """("good", "refused" or what went wrong; the measures)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (RESERVED + (megabytes << 20),) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(12 * seconds) + 1,) * 2)
        with suppress(BaseException):
            try:
                os.write(writer, json.dumps(["good", work()]).encode())
            except RequestError as error:
                os.write(writer, json.dumps(["refused", {"why": str(error)[:200]}]).encode())
            except BaseException as error:
                os.write(writer, json.dumps([f"{type(error).__name__}: {error}"[:120], {}]).encode())
        os._exit(0)
    os.close(writer)
    told = os.read(reader, 65536)
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name, {}
    return tuple(json.loads(told)) if told else ("no word", {})


def search(is_good: Callable[[int], bool], good: int = 0, most: int = MAX_SIZE) -> int:
    """The largest size found that is good, within a tenth; `good` is one."""
    bad = max(2 * good, 1)
    while bad <= most and is_good(bad):
        good, bad = bad, 2 * bad
    while bad <= most and bad - good > max(1, bad // 8):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if is_good(middle) else (good, middle)
    return good


def main() -> None:
    """Searches and prints."""
    global KIMI, RESERVED
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dimension", help="one alone, by the beginning of its name")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--combinations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    seconds, megabytes, seed = args.seconds, args.megabytes, args.seed
    KIMI = Tokenizer.load(TOKENIZER)
    vocabulary = Vocabulary(KIMI)
    vocabulary.answer_grammar({})  # loads what is loaded lazily
    RESERVED = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + (512 << 20)
    chosen = {name: make for name, make in DIMENSIONS.items() if name.startswith(args.dimension or "")}

    def attempt(make: Callable[..., dict], *args, limits: bool = True) -> tuple[str, dict[str, float]]:
        def work() -> dict[str, float]:
            if not limits:
                limits_off()
            return try_schema(vocabulary, make(*args), seconds, seed)

        return in_child(work, seconds, megabytes)

    print(f"{'dimension':32} {'limit':>9} {'breaks at':>10} {'margin':>7}  why it breaks; the worst allowed in ms")
    allowed: dict[str, int] = {}
    for name, make in chosen.items():
        allowed[name] = search(lambda n, make=make: attempt(make, n)[0] != "refused")
        outcome, worst = attempt(make, allowed[name])
        most = MAX_MARGIN * allowed[name]
        good = search(lambda n, make=make: attempt(make, n, limits=False)[0] in WELL, allowed[name], most)
        why = attempt(make, 2 * good, limits=False)[0] if 2 * good <= most else "-"
        told = " ".join(f"{key} {value:.0f}" for key, value in worst.items() if key != "why")
        margin = good / max(allowed[name], 1)
        print(f"{name:32} {allowed[name]:9,} {good:10,} {margin:6.1f}x  {why[:40]}; {outcome[:40]}: {told}", flush=True)
    rng, worst_of_all, num_refused = random.Random(seed), {}, 0
    for _ in range(args.combinations):
        names = rng.sample(list(chosen), min(rng.randint(2, 4), len(chosen)))
        sizes = [max(1, int(allowed[name] * rng.choice((0.3, 0.6, 1)))) for name in names]
        joined = rng.choice(("properties", "anyOf", "allOf", "prefixItems"))
        outcome, worst = attempt(combined, names, sizes, joined)
        num_refused += outcome == "refused"
        if outcome not in WELL:
            print(f"BROKEN {joined} of {dict(zip(names, sizes, strict=True))}: {outcome}", flush=True)
        for key, value in worst.items():
            if key != "why" and value > worst_of_all.get(key, (0,))[0]:
                worst_of_all[key] = (value, joined, dict(zip(names, sizes, strict=True)))
    print(f"{args.combinations} combinations, of which {num_refused} are refused; the slowest of the others:")
    for key, (value, *where) in worst_of_all.items():
        print(f"  {key} {value:.0f}: {where}")


def combined(names: list[str], sizes: list[int], joined: str) -> dict:
    """One schema of members of several dimensions; their definitions are renamed."""
    parts = []
    for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
        part = json.loads(json.dumps(DIMENSIONS[name](size)).replace("#/$defs/", f"#/$defs/x{i}/$defs/"))
        parts.append((f"x{i}", part))
    defs = {key: {"$defs": part.pop("$defs")} for key, part in parts if "$defs" in part}
    if joined == "properties":
        whole = {"type": "object", "properties": dict(parts), "required": [key for key, _ in parts]}
    else:
        whole = {joined: [part for _, part in parts]}
    return whole | {"$defs": defs}


if __name__ == "__main__":
    main()
