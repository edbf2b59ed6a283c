"""Regular expressions of schemas: a short text that matches one, and its size when its repetitions are written out."""

import re
from re import _compiler as regex_compiler  # pyright: ignore  (there is no public parse tree, and no stub of this one)
from re import _constants as codes  # pyright: ignore
from re import _parser as regex_parser  # pyright: ignore
from re import error as RegexError

MAX_MATCH = 256  # characters of a short text; a pattern that needs more has none
CANDIDATES = "ab0-.~_A \n" + "".join(map(chr, range(33, 127))) + "\t\réß¡€中\U0001f600\0"  # tried for a set
MAX_SIZE = 10**9
MAX_DIGITS = 9  # of a number of repetitions that are read; a longer one is beyond every limit already
REPETITION = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")
VERBOSE = re.compile(r"\(\?[a-zA-Z-]*x")
NOT_PARSED = (RegexError, RecursionError, LookupError, TypeError, ValueError, OverflowError, Warning)


def shortest_match(pattern: str) -> str | None:
    """A short text that matches the pattern; None where none is found easily (anchors inside, look-arounds)."""
    try:
        parsed = regex_parser.parse(pattern)
        return _shortest(parsed, parsed.state.flags)
    except NOT_PARSED:
        return None


def _shortest(parsed, flags: int) -> str:
    """The short text of a sequence of (code, argument) of re's parser. LookupError: a code that is not known here, or a
    long text."""
    text = "".join(_shortest_of(code, argument, parsed.state, flags) for code, argument in parsed)
    if len(text) > MAX_MATCH:
        raise LookupError
    return text


def _shortest_of(code, argument, state, flags: int) -> str:
    if code is codes.LITERAL:
        return chr(argument)
    if code in (codes.ANY, codes.NOT_LITERAL, codes.IN):
        return _member((code, argument), state, flags)
    if code is codes.BRANCH:
        return min((_shortest(branch, flags) for branch in argument[1]), key=len)
    if code is codes.SUBPATTERN:
        return _shortest(argument[3], (flags | argument[1]) & ~argument[2])
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        text, times = _shortest(argument[2], flags) if argument[0] else "", argument[0]
        if len(text) * times > MAX_MATCH:
            raise LookupError
        return text * times if text else ""
    if code is codes.AT:
        return ""
    raise LookupError(code)


def _member(characters: tuple, state, flags: int) -> str:
    """A character that a set of re's parser matches: a usual one, or one beside the ends of its ranges."""
    candidates = CANDIDATES
    if characters[0] is codes.IN:
        ends = [
            end
            for code, argument in characters[1]
            if code in (codes.LITERAL, codes.RANGE)
            for end in ((argument, argument) if code is codes.LITERAL else argument)
        ]
        candidates += "".join(chr(e + d) for e in ends for d in (0, 1, -1) if _is_character(e + d))
    one = regex_compiler.compile(regex_parser.SubPattern(state, [characters]), flags)
    found = one.search(candidates)
    if found is None:
        raise LookupError(characters)
    return found[0]


def _is_character(code_point: int) -> bool:
    return 0 <= code_point < 0xD800 or 0xE000 <= code_point <= 0x10FFFF


def written_out(pattern: str) -> int:
    """Characters and sets of a pattern whose repetitions are written out, a measure of the work to compile it; MAX_SIZE
    stands for more. Reads the syntax of the compiler (regex-syntax of Rust)."""
    if VERBOSE.search(pattern):  # its comments could hide brackets
        return MAX_SIZE
    sizes, last, at = [0], 0, 0  # of the open groups; of the last item, which a repetition repeats
    while at < len(pattern):
        character = pattern[at]
        repetition = REPETITION.match(pattern, at)
        if repetition:
            times = max(int((text or "").lstrip("0")[:MAX_DIGITS] or 0) for text in repetition.groups())
            sizes[-1] = min(sizes[-1] + last * (max(times, 1) - 1), MAX_SIZE)
            last = min(last * max(times, 1), MAX_SIZE)
            at = repetition.end()
            continue
        at = _end_of_class(pattern, at) if character == "[" else at + (2 if character == "\\" else 1)
        if character == "(":
            sizes.append(0)
        elif character == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] = min(sizes[-1] + last, MAX_SIZE)
        elif character not in "*+?":
            sizes[-1] += 1
            last = 1
    return min(sum(sizes), MAX_SIZE)


def _end_of_class(pattern: str, at: int) -> int:
    """Index behind a bracketed class, which may hold others."""
    depth = 0
    while at < len(pattern):
        if pattern[at] == "[":
            depth += 1
            at += 1 + (pattern[at + 1 : at + 2] == "^")
            at += pattern[at : at + 1] == "]"  # the first one is a character
            continue
        depth -= pattern[at] == "]"
        at += 2 if pattern[at] == "\\" else 1
        if not depth:
            break
    return at
