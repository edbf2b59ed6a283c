"""The command line: a command parses, calls one function and prints. Errors become exit codes here and nowhere else."""

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from ..errors import KimiError, OutOfMemory
from .settings import defaults, read_config

COMMANDS = {  # name: what `kimi-cpu --help` says; the module of that name is imported when the command is used
    "run": "Answer one prompt.",
    "chat": "Hold a conversation.",
    "batch": "Answer files of requests, and lose nothing.",
    "serve": "Serve a model over HTTP, with a chat page.",
    "convert": "Turn a Hugging Face checkpoint, or a GGUF file, into one model file.",
    "verify": "Check a model file's hashes, or prove it equal to its checkpoint.",
    "inspect": "Show what a checkpoint or a model file holds.",
    "plan": "Say how large and how heavy a model will be, before any download or conversion.",
    "merge": "Join the outputs of batches, each request once.",
    "tokenize": "Show the tokens of a text, or the text of tokens.",
    "bench": "Measure tokens a second on this machine.",
    "warmup": "Compile the kernels for this CPU ahead of their first use.",
    "completion": "Print what completes commands in bash, zsh or fish.",
}
STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))  # as descriptors
REFUSED = (errno.EBADF, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what is written; files have names
EXIT_INTERRUPTED = 130  # by convention 128 + SIGINT
EXIT_BROKEN_PIPE = 141  # and 128 + SIGPIPE


class ReaderLeft(Exception):
    """Whoever read our output has gone, as `head` does."""


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """click would make exit code 1 of a broken pipe."""
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

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """Gives the command the defaults of the configuration file."""
        name, command, args = super().resolve_command(ctx, args)
        config = read_config()
        if config and name is not None and command is not None:
            ctx.default_map = {name: defaults(config, command, [*map(_command, COMMANDS)])}
        return name, command, args

    def make_context(self, *args, **kwargs) -> click.Context:
        """Where --help is printed."""
        with _reader_may_leave():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context):
        """Where all else is."""
        with _reader_may_leave():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _command(name: str) -> click.Command:
    return importlib.import_module(f".{name}", __name__).command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kimi-cpu", prog_name="kimi-cpu")
def cli() -> None:
    """Run Kimi K2 Thinking on CPUs, from one memory-mapped file.

    \b
    kimi-cpu plan Kimi-K2-Thinking/              what it will need
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf
    kimi-cpu run -m k2.gguf "Why is the sky blue?"
    kimi-cpu chat -m k2.gguf

    Each option has an environment variable: KIMI_CPU_MODEL, _CONTEXT, _THREADS, _CHUNK, _KV and _COMPUTE for all
    commands, KIMI_CPU_COMMAND_OPTION otherwise (KIMI_CPU_RUN_MAX_TOKENS=500). Defaults may stand in
    $XDG_CONFIG_HOME/kimi-cpu/config.toml: `model = "k2.gguf"`, and under [run] `max-tokens = 500`. The command line
    comes first, then the environment, then the file.
    """


def main() -> None:
    """Entry point: errors meant for people become one line on stderr and an exit code."""
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
    """Gives the process the streams that it was started without. What is printed to stdout then is an error, and not
    lost; and no file that is opened later gets their numbers, and with them what others print."""
    for name, mode, flags in STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


def _let_go(*streams) -> None:
    """What they hold cannot be written, and the interpreter shall not try it again at its end."""
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell(text: str) -> None:
    """One line on stderr, if it takes one."""
    with suppress(OSError):
        click.echo(f"kimi-cpu: {text}", err=True)


def _sentence(error: BaseException) -> str:
    """One line for a person."""
    if isinstance(error, OSError):
        place = "stdout" if error.errno in REFUSED else "input/output"
        return f"{error.filename or place}: {error.strerror or error}"
    if isinstance(error, MemoryError):
        what = f" ({_one_line(str(error))})" if str(error) else ""
        return f"This process may use too little memory{what}; give it more (ulimit -v), or ask for less."
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
