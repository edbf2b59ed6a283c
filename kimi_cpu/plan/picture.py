"""Draws when the stages of a pipeline were busy, as SVG 1.1."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from .arrangements import Arrangement
from .events import Span

WIDTH, ROW, BAR = 900, 26, 20  # pixels: of the time, of a stage, of its bars
LEFT, TOP, RIGHT, BOTTOM = 90, 34, 60, 40  # around them
COLORS = ("#1f5fa8", "#c8641e", "#5c7f4a", "#82b4e6", "#e0a040", "#8a5aa0", "#9a9a9a", "#b04050")
TICKS = 5
ROUNDS = 3  # times that a sequence waits for its next token, in the picture of an arrangement


def picture(way: Arrangement) -> str:
    """The stages of one replica that has as many requests as it takes, for some rounds."""
    run, last = way.busy, len(way.layers) - 1
    names = [f"layers {layers.start}-{layers.stop - 1}" for layers in way.layers]
    title = f"{last + 1} stages, {way.in_flight} requests at once: {run.rate:.1f} tokens/s"
    if not last:
        title = title.replace("1 stages", "One host")
    begin_s = max(0.0, run.end_s - ROUNDS * run.token_s)
    return timeline(title, list(zip(names, run.stages, strict=True)), begin_s, run.end_s)


def timeline(title: str, stages: Sequence[tuple[str, Sequence[Span]]], begin_s: float, end_s: float) -> str:
    """A row for each named stage with a bar for each span between two times, in the colour of the step in flight; on
    the right the share of the time that the stage was busy."""
    height = TOP + ROW * len(stages) + BOTTOM
    scale = WIDTH / (end_s - begin_s)
    parts = [_text(LEFT, 20, title, "start", bold=True)]
    for row, (name, spans) in enumerate(stages):
        top, busy_s = TOP + ROW * row, 0.0
        parts.append(f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{BAR}" fill="#eeeeee"/>')
        for span in spans:
            first, last = max(span.begin_s, begin_s), min(span.end_s, end_s)
            if first < last:
                busy_s += last - first
                x, width = LEFT + scale * (first - begin_s), scale * (last - first)
                color = COLORS[span.owner % len(COLORS)]
                parts.append(f'<rect x="{x:.2f}" y="{top}" width="{width:.2f}" height="{BAR}" fill="{color}"/>')
        parts.append(_text(LEFT - 8, top + 15, name, "end"))
        parts.append(_text(LEFT + WIDTH + 8, top + 15, f"{busy_s / (end_s - begin_s):.0%}", "start"))
    bottom = TOP + ROW * len(stages)
    for tick in range(TICKS + 1):
        x, seconds = LEFT + WIDTH * tick / TICKS, (end_s - begin_s) * tick / TICKS
        parts.append(f'<path d="M{x:.2f} {bottom}v5" stroke="#333333"/>')
        parts.append(_text(x, bottom + 20, f"{seconds:.3g} s", "middle"))
    size = f'width="{LEFT + WIDTH + RIGHT}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.2f}" y="{y}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
