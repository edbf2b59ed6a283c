"""kimi-cpu completion: commands and options completed by the shell."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes kimi-cpu's commands, options and files in SHELL.

    \b
    kimi-cpu completion bash >> ~/.bashrc
    kimi-cpu completion zsh >> ~/.zshrc
    kimi-cpu completion fish > ~/.config/fish/completions/kimi-cpu.fish
    """
    root, completion = ctx.find_root(), get_completion_class(shell)
    assert completion is not None
    click.echo(completion(root.command, {}, "kimi-cpu", "_KIMI_CPU_COMPLETE").source())
