"""kimi-cpu agent: a task, worked on with tools to its end."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, Interrupted
from . import EXIT_INTERRUPTED
from .display import say
from .input import read_prompt
from .interrupts import CTRL_C, endings, on_signals
from .options import (
    heavy_option,
    loading_of,
    model_options,
    require_model,
    reuse_options,
    sampling_options,
    thinking_of,
    thinking_options,
)

if TYPE_CHECKING:
    from ..agent import Agent, Outcome
    from .agent_terminal import Terminal

MISSING = "The agent needs more packages: pip install '.[agent]' in kimi-cpu's source folder"


@click.command("agent")
@click.argument("task", required=False)
@click.option(
    "--tools",
    "modules",
    multiple=True,
    metavar="MODULE.py",
    type=click.Path(path_type=Path),
    help="Offer the functions of this file as tools. May be given several times.",
)
@click.option(
    "--mcp",
    metavar="CONFIG.json",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Run the MCP servers of this file (mcpServers), and offer their tools as far as they are allowed.",
)
@click.option(
    "--files",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Offer tools on the files below this folder; shell and python run there.",
)
@click.option("--search", metavar="DIR|URL", help="Offer web_search and fetch over a folder, or a SearXNG engine.")
@click.option(
    "--allow",
    multiple=True,
    metavar="NAME|all",
    help="Let tools of this name act: write_file, edit_file, shell, python, SERVER__TOOL. * stands for anything.",
)
@click.option("--ask", is_flag=True, help="Offer the others too, and ask before each of their calls.")
@click.option("--max-steps", type=click.IntRange(1), default=300, show_default=True, help="Turns of the model.")
@click.option(
    "--budget",
    multiple=True,
    metavar="2h|200000 tokens",
    help="End after so much time, or so many tokens. May be given twice.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the run in this file, and go on with one that is there.",
)
@click.option(
    "--unfinished",
    type=click.Choice(["ask", "again", "skip"]),
    default="ask",
    show_default=True,
    help="Calls during which an earlier run was stopped: make them again, or say that nobody knows.",
)
@click.option(
    "--view",
    metavar="TRACE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make a page of HTML of a run that --resume has kept, and print its path; no model runs.",
)
@click.option("--system", metavar="TEXT", help="System message.")
@click.option("--hide-thinking", is_flag=True, help="Do not show the thinking on stderr.")
@click.option("--quiet", is_flag=True, help="Show the answer alone.")
@click.option("--json", "as_json", is_flag=True, help="Print what happens as lines of JSON.")
@thinking_options
@heavy_option
@model_options
@reuse_options
@sampling_options
def agent_command(
    task: str | None,
    modules: tuple[Path, ...],
    mcp: Path | None,
    files: Path | None,
    search: str | None,
    allow: tuple[str, ...],
    ask: bool,
    max_steps: int,
    budget: tuple[str, ...],
    resume: Path | None,
    unfinished: str,
    view: Path | None,
    system: str | None,
    hide_thinking: bool,
    quiet: bool,
    as_json: bool,
    heavy: int,
    model: Path | None,
    **options: Any,
) -> None:
    """Work on TASK with tools until there is an answer. The answer alone goes to stdout; thinking, calls and results go
    to stderr.

    The tools are get_date, calculator, the functions of --tools and what --files, --search and --mcp offer. Those that
    write or run programs, and those of MCP servers, are offered only with --allow or --ask; programs run in a sandbox
    where bubblewrap is installed.

    Ctrl-C pauses, at once or when the calls in progress have results: then the run goes on, is told something, answers
    with what it has, or is left; a second Ctrl-C leaves at once (exit code 130). SIGTERM and SIGHUP leave it (6). With
    --resume nothing is lost: the same command goes on at the same step, even after kill -9, and makes no call again
    that has a result. At a limit the model is asked to answer with what it has.

    With --heavy 8 eight runs work side by side, with those tools alone that are declared read-only, until enough of
    them agree; then the model reflects on their outcomes.

    \b
    kimi-cpu agent -m k2.gguf "Which day of the week was 24 June 1997?" --tools dates.py
    kimi-cpu agent -m k2.gguf "Write a report on our sales." --tools sales.py --resume report.jsonl --budget 2h
    kimi-cpu agent -m k2.gguf "Make the tests pass." --files . --allow edit_file --allow shell
    kimi-cpu agent -m k2.gguf "What changed in version 3?" --search docs/
    kimi-cpu agent -m k2.gguf "Close what is done." --mcp servers.json --allow 'github__*'
    kimi-cpu agent -m k2.gguf --heavy 8 "Which of our products sells best?" --search reports/
    kimi-cpu agent -m k2.gguf --resume report.jsonl
    kimi-cpu agent --view report.jsonl
    """
    thinking = thinking_of(options)
    try:
        from ..agent import Agent
        from ..agent.consent import Consent
        from ..agent.limits import Limits
        from ..agent.offer import offered_tools
        from ..agent.view import write_page
        from .agent_terminal import Terminal
    except ModuleNotFoundError as e:
        raise ConfigError(f"{MISSING} ({e.name} is not there).") from e
    if view is not None:
        click.echo(write_page(view))
        return
    text = _task(task, resume)
    Limits.of(max_steps, budget)  # a wrong one is said before a model is loaded
    consent = Consent(allow, ask)
    tools = offered_tools(modules, files, search, mcp, consent, say)
    path = require_model(model)
    loading = loading_of(options)
    from ..machine import bound_heap
    from .loading import load_model

    bound_heap()  # before there are threads
    with load_model(path, **loading) as llm:
        agent = Agent(llm, tools, mcp=mcp, system=system, max_steps=max_steps, budget=budget, **options, **thinking)
        terminal = Terminal(quiet, as_json, hide_thinking, unfinished, consent)
        try:
            outcome = _run(agent, text, resume, terminal, heavy)
        except Interrupted:
            if resume is not None:
                raise
            sys.exit(EXIT_INTERRUPTED)
        terminal.show_outcome(outcome)


def _task(task: str | None, resume: Path | None) -> str | None:
    """The task; None where a run that is kept goes on. UsageError: there is none."""
    if task is None and resume is not None and resume.exists() and resume.stat().st_size > 0:
        return None
    text = "" if task is None and sys.stdin.isatty() else read_prompt(task, None, None)
    if not text.strip():
        where = "There is no task" if resume is None else f"{resume} has no run to go on with, and there is no task"
        raise click.UsageError(f"{where}: name it, or send it through a pipe.")
    return text


def _run(agent: "Agent", task: str | None, resume: Path | None, terminal: "Terminal", heavy: int) -> "Outcome":
    """Runs, while signals pause it. Interrupted: it was left. KeyboardInterrupt: a second Ctrl-C came."""

    def handle(name: str) -> None:
        if terminal.signal is not None and name == CTRL_C:
            raise KeyboardInterrupt
        terminal.signal = terminal.signal or name
        agent.pause()

    with on_signals((*endings(), signal.SIGINT), handle):
        try:
            return agent.run(task, resume, terminal, heavy=heavy)
        finally:
            terminal.end_turn()
