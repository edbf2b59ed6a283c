"""The command line: a command parses, calls one function and prints. Errors become exit codes here and nowhere else."""

import atexit
import errno
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from ..errors import KimiError, OutOfMemory
from .options import defaults, read_config

COMMANDS = {  # name: the module of its function, imported when the command is used; its line in `kimi-cpu --help`
    "run": (".run", "Answer one prompt."),
    "chat": (".chat", "Hold a conversation."),
    "agent": (".agent", "Work on a task with tools, step by step."),
    "batch": (".batch", "Answer files of requests, and lose nothing."),
    "serve": (".serve", "Serve a model over HTTP, with a chat page."),
    "convert": (".convert", "Turn a Hugging Face checkpoint, or a GGUF file, into one model file."),
    "verify": (".convert", "Check a model file's hashes, or prove it equal to its checkpoint."),
    "inspect": (".inspect", "Show what a checkpoint or a model file holds."),
    "plan": (".plan", "Say how large and how heavy a model will be, before any download or conversion."),
    "merge": (".batch", "Join the outputs of batches, each request once."),
    "tokenize": (".tokenize", "Show the tokens of a text, or the text of tokens."),
    "experts": (".experts", "Count, show and pin the experts that a model uses."),
    "bench": (".bench", "Measure tokens a second on this machine."),
    "warmup": (".loading", "Compile the kernels for this CPU ahead of their first use."),
    "completion": (".", "Print what completes commands in bash, zsh or fish."),
}
STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))  # as descriptors
REFUSED = (errno.EBADF, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of stdout; errors of files name the file
EXIT_INTERRUPTED = 130  # by convention 128 + SIGINT
EXIT_BROKEN_PIPE = 141  # and 128 + SIGPIPE


class ReaderLeft(Exception):
    """The reader of our output has gone, as `head` does."""


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Raises ReaderLeft for a broken pipe, of which click would make exit code 1."""
    try:
        yield
    except BrokenPipeError as e:
        raise ReaderLeft from e


class LazyGroup(click.Group):
    """Imports a command's module only when the command is used: --help costs no more than click."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Gives the command the defaults of the configuration file."""
        name, command, args = super().resolve_command(ctx, args)
        config = read_config()
        if config and name is not None and command is not None:
            ctx.default_map = {name: defaults(config, command, [*map(_command, COMMANDS)])}
        return name, command, args

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parses, and prints --help."""
        with _reader_may_leave():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with _reader_may_leave():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _command(name: str) -> click.Command:
    module, _ = COMMANDS[name]
    return getattr(importlib.import_module(module, __name__), f"{name}_command")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kimi-cpu", prog_name="kimi-cpu")
def cli() -> None:
    """Run Kimi K2 Thinking on CPUs, from one memory-mapped file.

    \b
    kimi-cpu plan Kimi-K2-Thinking/              what it will need
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf
    kimi-cpu run -m k2.gguf "Why is the sky blue?"
    kimi-cpu chat -m k2.gguf

    Each option has an environment variable: KIMI_CPU_MODEL, _CONTEXT, _THREADS, _CHUNK, _KV, _COMPUTE and _MEMORY
    for all commands, KIMI_CPU_COMMAND_OPTION otherwise (KIMI_CPU_RUN_MAX_TOKENS=500). Defaults may stand in
    $XDG_CONFIG_HOME/kimi-cpu/config.toml: `model = "k2.gguf"`, and under [run] `max-tokens = 500`. The command line
    comes first, then the environment, then the file.
    """


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes kimi-cpu's commands, options and files in SHELL.

    \b
    kimi-cpu completion bash >> ~/.bashrc
    kimi-cpu completion zsh >> ~/.zshrc
    kimi-cpu completion fish > ~/.config/fish/completions/kimi-cpu.fish
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None  # click has one for each choice
    click.echo(script(ctx.find_root().command, {}, "kimi-cpu", "_KIMI_CPU_COMPLETE").source())


def main() -> None:
    """Entry point: errors meant for people become one line on stderr and an exit code."""
    atexit.register(gc.freeze)  # looking for garbage in all that is left takes a third of a second
    _open_streams()
    try:
        cli.main(prog_name="kimi-cpu", standalone_mode=False, auto_envvar_prefix="KIMI_CPU")
    except click.exceptions.NoArgsIsHelpError as e:
        with suppress(OSError):
            e.show()
        sys.exit(e.exit_code)
    except click.ClickException as e:
        command = e.ctx.command_path if isinstance(e, click.UsageError) and e.ctx is not None else "kimi-cpu"
        _tell(f"{_one_line(e.format_message())} See `{command} --help`.")
        sys.exit(e.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except ReaderLeft:
        _let_go(sys.stdout, sys.stderr)
        sys.exit(EXIT_BROKEN_PIPE)
    except (KimiError, OSError, MemoryError) as e:
        if os.environ.get("KIMI_CPU_DEBUG") == "1":
            raise
        _tell(_sentence(e))
        _let_go(sys.stdout)
        sys.exit(OutOfMemory.exit_code if isinstance(e, MemoryError) else getattr(e, "exit_code", 1))


def _open_streams() -> None:
    """Gives the process the streams that it was started without. A print to such a stdout is an error, not lost; and no
    file that is opened later gets the number of a stream, and with it the text that is printed there."""
    for name, mode, flags in STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


def _let_go(*streams: TextIO) -> None:
    """Drops text that cannot be written, so that the interpreter does not try it again at its end."""
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell(text: str) -> None:
    """Prints one line on stderr, if that takes one."""
    with suppress(OSError):
        click.echo(f"kimi-cpu: {text}", err=True)


def _sentence(error: BaseException) -> str:
    """An error as one line for a person."""
    if isinstance(error, OSError):
        place = "stdout" if error.errno in REFUSED else "input/output"
        return f"{error.filename or place}: {error.strerror or error}"
    if isinstance(error, MemoryError):
        what = f" ({_one_line(str(error))})" if str(error) else ""
        return f"This process may use too little memory{what}; give it more (ulimit -v), or ask for less."
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
