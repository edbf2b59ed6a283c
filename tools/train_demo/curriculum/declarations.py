"""What `kimi-cpu agent` tells a model of its tools."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from kimi_cpu.agent import calculator, get_date
from kimi_cpu.agent.results import Results
from kimi_cpu.agent.tool import tool_of
from kimi_cpu.agent.transcript import Transcript
from kimi_cpu.llm import LLM


@cache
def declarations() -> list[dict[str, Any]]:
    """The tools of an agent whose user names none, in its order: get_date, calculator, read_result."""
    reading = Results(cast(LLM, SimpleNamespace(context=0)), Transcript(), Path()).reading_tool()
    return [tool.declaration() for tool in (tool_of(get_date), tool_of(calculator), reading)]
