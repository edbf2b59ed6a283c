"""Pictures of stages are well-formed, and show as much as there is."""

from xml.etree import ElementTree

import pytest

from kimi_cpu.plan.events import Span
from kimi_cpu.plan.picture import BAR, WIDTH, timeline

SVG = "{http://www.w3.org/2000/svg}"
SPANS = [Span(0.0, 1.0, 0), Span(2.0, 4.0, 1), Span(7.0, 9.0, 9)]


def test_bars_are_as_long_as_stages_were_busy():
    root = ElementTree.fromstring(timeline("A & B", [("first", SPANS), ("second", [])], 0.5, 8.0))
    bars = [r for r in root.iter(f"{SVG}rect") if r.get("height") == str(BAR) and r.get("fill") != "#eeeeee"]
    widths = [float(bar.get("width", 0)) for bar in bars]
    assert sum(widths) == pytest.approx(WIDTH * (0.5 + 2 + 1) / 7.5, abs=0.1)
    texts = "".join(root.itertext())
    assert all(text in texts for text in ("A & B", "first", "second", "47%", "0%", "7.5 s"))
