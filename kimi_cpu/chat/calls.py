"""The header of a tool call: which tool the model means by `functions.NAME:INDEX`, or by something like it."""

import re
from collections.abc import Iterable

_AS_TAUGHT = re.compile(r"(?:functions\.)?+(?P<name>\S+):(?P<index>[0-9]+)")
_BARE_INDEX = re.compile(r"[0-9]+")
_OPENAI_ID = re.compile(r"(?:call|chatcmpl-tool|toolu)[_-]\w+")


def tool_names(tools: Iterable[str | dict] | None) -> tuple[str, ...] | None:
    """The names of tools given as names or in OpenAI's form; None stays None: nobody said what there is."""
    if tools is None:
        return None
    return tuple(tool if isinstance(tool, str) else tool.get("function", tool)["name"] for tool in tools)


def read_header(header: str, names: tuple[str, ...] | None) -> tuple[str, str] | None:
    """(id, name) of a call, or None if the header names no tool. names: the declared tools, None if they are unknown.

    As the model was taught, `functions.NAME:INDEX` with or without the prefix: the id is kept and the name need not be
    declared. Otherwise only a declared name is recognised, and the id is rewritten as taught: `functions_NAME_0`,
    `functionsNAME0`, `functions(NAME):0.0`, - and _ mixed up; a bare index where one tool is declared. With no tools
    declared at all (an empty tuple) there is no call.
    """
    if names == ():
        return None
    header = header.strip()
    taught = _AS_TAUGHT.fullmatch(header)
    if taught and (names is None or taught["name"] in names):
        return header, taught["name"]
    found = _recognise(header, names or ())
    if found:
        name, index = found
        return f"functions.{name}:{index}", name
    return (header, taught["name"]) if taught else None


def is_openai_id(header: str) -> bool:
    """Whether a header is an id in OpenAI's style, which says nothing about the tool."""
    return _OPENAI_ID.fullmatch(header.strip()) is not None


def _recognise(header: str, names: tuple[str, ...]) -> tuple[str, int] | None:
    """(name, index) of the longest declared name that a misspelled header may mean."""
    if _BARE_INDEX.fullmatch(header):
        return (names[0], int(header)) if len(names) == 1 else None
    plain = header.replace("-", "_")
    if any(re.fullmatch(rf"(?:functions?[._]?)?{re.escape(name.replace('-', '_'))}", plain) for name in names):
        return None  # a tool, but no index: digits at its end belong to the name
    for name in sorted(names, key=len, reverse=True):
        tool = re.escape(name.replace("-", "_"))
        prefixed = rf"functions?(?:[._]?{tool}|\({tool}\))[:_.]?"
        match = re.fullmatch(rf"(?:{prefixed}|{tool}[:_])([0-9]+)(?:\.0+)?", plain)
        if match:
            return name, int(match[1])
    return None
