"""The tools of a command: its user's, and those that the agent brings, as far as they are allowed."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import ConfigError
from .builtin import Documents, Metasearch, calculator, folder_tools, get_date, program_tools, web_tools
from .builtin.programs import has_sandbox
from .consent import Consent
from .modules import tools_of_file
from .server_config import read_config
from .tool import Tool, tool_of

NO_SANDBOX = "shell and python run without a sandbox, as bubblewrap is not there: they see and change all that you can."
NO_CONSENT = (
    "the tools of MCP servers are not offered: --allow 'SERVER__*' lets them act, and --ask has each of their calls "
    "asked about."
)


def offered_tools(
    modules: Iterable[Path],
    files: Path | None,
    search: str | None,
    mcp: Path | None,
    consent: Consent,
    say: Callable[[str], None],
) -> list[Tool]:
    """The tools of files of Python, and those that are brought, unless one of the former has the name; without those
    that need consent and have none. files: of the tools on files and programs. search: a folder of documents, or the
    address of a search engine. mcp: a configuration of servers, which is looked at and not started. say: is told what
    its user should know. ConfigError, OSError."""
    own = [made for module in modules for made in tools_of_file(module)]
    brought = [tool_of(get_date), tool_of(calculator)]
    if search is not None:
        brought += web_tools(Metasearch(search) if "://" in search else Documents(Path(search)))
    if files is not None:
        programs = [made for made in program_tools(files) if consent.offers(made)]
        brought += [*folder_tools(files), *programs]
        if programs and not has_sandbox():
            say(NO_SANDBOX)
    if mcp is not None:
        read_config(mcp)
        if not consent.offers_servers:
            say(NO_CONSENT)
    names = {made.name for made in own}
    offered = [*own, *(made for made in brought if made.name not in names and consent.offers(made))]
    if unknown := consent.unknown(offered):
        raise ConfigError(f"--allow {unknown[0]} names no tool; write_file, edit_file, shell and python need --files.")
    return offered
