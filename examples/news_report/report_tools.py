"""The tools of the report on news/, in the few words that the bundled model has learnt.

kimi-cpu agent "Daily news report, please: chess and housing." --tools examples/news_report/report_tools.py
"""

import datetime
import json
from pathlib import Path

from kimi_cpu.agent import tool
from kimi_cpu.agent.builtin import Documents

_NEWS = Documents(Path(__file__).parent / "news")


@tool(read_only=True)
def get_date() -> str:
    """Get the current date."""
    today = datetime.date.today()
    return json.dumps({"date": today.isoformat(), "weekday": f"{today:%A}"})


@tool(read_only=True)
def web_search(query: str) -> str:
    """Search the web."""
    found = _NEWS.search(query)[:1]
    return json.dumps({"results": [{"title": hit.title, "url": hit.address} for hit in found]})
