"""kimi-cpu tokenize: a text as a model sees it."""

import json
from pathlib import Path

import click

from .input import read_prompt
from .options import require_model


@click.command("tokenize")
@click.argument("text", required=False)
@click.option(
    "-m",
    "--model",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="KIMI_CPU_MODEL",
    help="Model file, checkpoint directory, or tiktoken.model. [default: a small demonstration model]",
)
@click.option("-f", "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read the text here.")
@click.option("--no-special", is_flag=True, help="Read <|im_end|> and its kin as the text that they are.")
@click.option("--decode", is_flag=True, help="TEXT is ids; print their text.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of ids.")
def tokenize_command(
    text: str | None, model: Path | None, file: Path | None, no_special: bool, decode: bool, as_json: bool
) -> None:
    """Print the tokens of TEXT, one a line: id, and the bytes that it stands for. Without TEXT, stdin is read.

    \b
    kimi-cpu tokenize -m k2.gguf "Hello <|im_end|>"
    kimi-cpu tokenize -m Kimi-K2-Thinking/ -f letter.txt --json
    kimi-cpu tokenize -m k2.gguf --decode "19180 2695"
    """
    text = read_prompt(text, None, file)
    path = model or require_model(model)
    from ..tokenizer import Tokenizer

    tokenizer = Tokenizer.load(path)
    if decode:
        click.echo(tokenizer.decode(_ids(text)))
        return
    ids = tokenizer.encode(text, special=not no_special)
    if as_json:
        click.echo(json.dumps(ids))
        return
    for token_id in ids:
        click.echo(f"{token_id}\t{_shown(tokenizer.token_bytes(token_id))}")


def _ids(text: str) -> list[int]:
    """The ids in a text, between commas, brackets and spaces."""
    try:
        return [int(part) for part in text.replace(",", " ").replace("[", " ").replace("]", " ").split()]
    except ValueError as e:
        raise click.UsageError(f"--decode wants token ids: {e}.") from None


def _shown(token: bytes) -> str:
    """A token as a JSON string; as hexadecimal bytes where it is no whole text."""
    try:
        return json.dumps(token.decode("utf-8"), ensure_ascii=False)
    except UnicodeDecodeError:
        return " ".join(f"0x{byte:02x}" for byte in token)
