"""Writes docs/cli.md from the commands themselves: python -m tools.make_cli_docs"""

from pathlib import Path

import click

from kimi_cpu.cli import COMMANDS, cli

FILE = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 110
HEAD = """\
# The command line

What `kimi-cpu --help` and `kimi-cpu COMMAND --help` say; `python -m tools.make_cli_docs` writes this file.

**Streams.** The answer, alone, goes to stdout; thinking, progress, statistics and warnings go to stderr. Bars and
colours appear on a terminal only, and never with `NO_COLOR`.

**Exit codes.** 0 done, 1 failed (one line says why; `KIMI_CPU_DEBUG=1` shows the traceback), 2 wrong usage, 3 some
requests failed, 4 does not fit (RAM, disk), 5 corrupt or wrong file, 6 interrupted but resumable, 130 Ctrl-C, 141 the
reader of stdout left. A model that is cut short or overwritten while it is in use, or whose disk fails, ends the
process by SIGBUS (135 in a shell), after one line that names the file.

**Environment.** `KIMI_CPU_MODEL`, `KIMI_CPU_CONTEXT`, `KIMI_CPU_THREADS`, `KIMI_CPU_CHUNK`, `KIMI_CPU_KV`,
`KIMI_CPU_COMPUTE` and `KIMI_CPU_MEMORY` hold for every command that has the option; any other is named after command
and option, as `KIMI_CPU_RUN_MAX_TOKENS`. `KIMI_CPU_ISA` forces an instruction set, `KIMI_CPU_NO_HISTORY=1` keeps what
is typed in `chat` out of its history file.

**Configuration file.** `$XDG_CONFIG_HOME/kimi-cpu/config.toml` (`~/.config/kimi-cpu/config.toml`) holds defaults: long
names of options at its top for all commands, in a table for one. The command line comes first, then the environment,
then the file.

```toml
model = "/models/k2.gguf"
context = 32768

[run]
think-budget = 4000
```

**Completion.** `kimi-cpu completion bash >> ~/.bashrc`, and likewise for zsh and fish.
"""


def document() -> str:
    """The file's content."""
    root = click.Context(cli, info_name="kimi-cpu")
    parts = [HEAD, _help(cli, "kimi-cpu", None)]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        parts.append(_help(command, name, root))
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=root)
            parts += [_help(member, member.name, context) for member in command.commands.values()]
    return "\n".join(parts)


def _help(command: click.Command, name: str, parent: click.Context | None) -> str:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = cli.context_settings["help_option_names"]
    return f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
