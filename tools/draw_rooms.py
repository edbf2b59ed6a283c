"""Draws the rooms into docs/architecture.md from the table of tests/test_layers.py: python -m tools.draw_rooms"""

import re
from pathlib import Path

from tests.test_layers import MAY_IMPORT

FILE = Path(__file__).parents[1] / "docs" / "architecture.md"


def picture() -> str:
    """A mermaid chart: an arrow to each room that may be imported and is not below another such room."""
    below: dict[str, set[str]] = {}

    def all_below(room: str) -> set[str]:
        if room not in below:
            below[room] = MAY_IMPORT[room].union(*map(all_below, MAY_IMPORT[room]))
        return below[room]

    lines = ["flowchart TD"]
    for room, others in MAY_IMPORT.items():
        nearest = others.difference(*map(all_below, others))
        if nearest:
            lines.append(f"    {room} --> {' & '.join(sorted(nearest))}")
    return "\n".join(lines)


def document() -> str:
    """The file's content with the picture as it is now."""
    text = FILE.read_text(encoding="utf-8")
    return re.sub(r"(?<=```mermaid\n).*?(?=```)", lambda _: picture() + "\n", text, count=1, flags=re.DOTALL)


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
