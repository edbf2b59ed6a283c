"""Runs commands of kimi-cpu on the bundled model in a terminal, and draws what it showed as SVG in docs/:
python -m tools.record"""

import os
import pty
import re
import shlex
import sys
from io import StringIO
from itertools import groupby
from pathlib import Path
from subprocess import Popen

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COLUMNS, LINES = 96, 200  # a screen that holds all that a command shows
FOLDER = ROOT / "examples" / "news_report"  # where the commands run
REPORT = "Daily news report, please: chess and housing."
COMMANDS = {  # by pictures in docs/
    "agent.svg": ["agent", REPORT, "--tools", "report_tools.py", "--temp", "0"],
}
FAINT = re.compile(rb"\x1b\[2m")  # which pyte does not know
BRIGHT_BLACK = b"\x1b[90m"
COLOURS = {"brown": "yellow", "brightblack": "#9a9a9a"}  # pyte's names, and rich's
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # of rich's picture, from the network


def shown(command: list[str]) -> pyte.Screen:
    """The screen of a terminal in which a command has run to its end. RuntimeError: it failed."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)}
    environment.pop("NO_COLOR", None)
    with Popen(command, cwd=FOLDER, stdin=its, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        while data := _read(ours):
            stream.feed(FAINT.sub(BRIGHT_BLACK, data))
    os.close(ours)
    if process.returncode:
        raise RuntimeError(f"{shlex.join(command)} ended with exit code {process.returncode}.")
    return screen


def picture(title: str, screen: pyte.Screen) -> str:
    """A screen as SVG, below the command that it came from."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text(f"$ {title}", "bold"))
    rows = [_row(screen, number) for number in range(screen.cursor.y + 1)]
    while rows and not rows[-1].plain.strip():
        rows.pop()
    for row in rows:
        console.print(row)
    return FONT.sub("", console.export_svg(title="kimi-cpu", theme=MONOKAI))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux's end of a terminal
        return b""


def _row(screen: pyte.Screen, number: int) -> Text:
    """A row of the screen, without the blanks at its end."""
    cells = [screen.buffer[number][column] for column in range(COLUMNS)]
    row = Text()
    for style, run in groupby(cells, _style):
        row.append("".join(cell.data for cell in run), style)
    row.rstrip()
    return row


def _style(cell: pyte.screens.Char) -> Style:
    colour = None if cell.fg == "default" else COLOURS.get(cell.fg, cell.fg)
    return Style(color=colour, bold=cell.bold, italic=cell.italics)


def main() -> None:
    """Draws all pictures."""
    for name, arguments in COMMANDS.items():
        screen = shown([sys.executable, "-m", "kimi_cpu", *arguments])
        (DOCS / name).write_text(picture(shlex.join(["kimi-cpu", *arguments]), screen), encoding="utf-8")


if __name__ == "__main__":
    main()
