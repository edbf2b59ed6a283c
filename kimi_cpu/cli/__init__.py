"""The command line: a command parses, calls one function and prints. Errors become exit codes here and nowhere else."""

import importlib
import os
import sys

import click

from ..errors import KimiError

COMMANDS = {  # name: what `kimi-cpu --help` says; the module of that name is imported when the command is used
    "bench": "Measure tokens a second on this machine.",
    "batch": "Answer files of requests, and lose nothing.",
    "convert": "Turn a Hugging Face checkpoint, or a GGUF file, into one model file.",
    "merge": "Join the outputs of batches, each request once.",
    "inspect": "Show what a checkpoint or a model file holds.",
    "plan": "Say how large and how heavy a model will be, before any download or conversion.",
    "run": "Answer one prompt.",
    "serve": "Serve a model over HTTP, with a chat page.",
    "warmup": "Compile the kernels for this CPU ahead of their first use.",
    "verify": "Check a model file's hashes, or prove it equal to its checkpoint.",
}
EXIT_INTERRUPTED = 130  # by convention 128 + SIGINT


class LazyGroup(click.Group):
    """Imports a command's module only when the command is used: --help costs no more than click."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f".{name}", __name__).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kimi-cpu", prog_name="kimi-cpu")
def cli() -> None:
    """Run Kimi K2 Thinking on CPUs, from one memory-mapped file.

    \b
    kimi-cpu plan Kimi-K2-Thinking/              what it will need
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf
    kimi-cpu run -m k2.gguf "Why is the sky blue?"
    """


def main() -> None:
    """Entry point: errors meant for people become one line on stderr and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KimiError, OSError, MemoryError) as e:
        if os.environ.get("KIMI_CPU_DEBUG") == "1":
            raise
        click.echo(f"kimi-cpu: {_sentence(e)}", err=True)
        sys.exit(getattr(e, "exit_code", 1))


def _sentence(error: BaseException) -> str:
    """One line for a person."""
    if isinstance(error, OSError):
        return f"{error.filename or 'input/output'}: {error.strerror or error}"
    return " ".join(str(error).split()) or type(error).__name__
