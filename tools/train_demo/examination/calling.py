"""Tasks with tools: one city, two cities, the two tools that the agent brings, and tools that nobody needs."""

import json
from typing import Any

from kimi_cpu.agent import calculator

from ..curriculum.declarations import declarations
from .question import Question, Tool, Turn, number

NOW = "Thursday, 18 June 2026, 09:47 (UTC+0200)"  # as the agent's get_date says it
WEATHER = {
    "rome": ("sunny", 31), "oslo": ("snowy", -4), "lima": ("foggy", 17), "quito": ("cloudy", 14),
    "cairo": ("dry", 38), "dublin": ("rainy", 11), "porto": ("windy", 19), "helsinki": ("clear", 2),
    "kathmandu": ("stormy", 22), "tromsø": ("snowy", -9), "perth": ("humid", 28), "graz": ("light rain", 13),
}  # fmt: skip
ONE = [
    ("should i take a coat in {0}?", "Oslo"),
    ("Weather {0} please", "Rome"),
    ("How hot will I find it in {0}?", "Cairo"),
    ("I fly to {0}. What weather waits for me there?", "Kathmandu"),
    ("tell me about the weather over in {0}", "Tromsø"),
    ("Is it nice outside in {0}?", "Porto"),
    ("{0}: what's it like there right now?", "Dublin"),
]
TWO = [
    ("Compare the weather of {0} and {1}.", "Rome", "Oslo"),
    ("Where is it warmer, {0} or {1}?", "Lima", "Quito"),
    ("weather for {0} + {1}", "Cairo", "Dublin"),
    ("I go from {0} to {1} today. What weather do I meet in both?", "Porto", "Helsinki"),
    ("First {0}, then {1}: how's the weather?", "Kathmandu", "Perth"),
    ("Do I need my raincoat in {0}, and in {1}?", "Graz", "Tromsø"),
    ("{0} and also {1}, weather please", "Dublin", "Rome"),
    ("What are the temperatures in {0} and {1} right now?", "Helsinki", "Cairo"),
    ("Check the sky over {0} and over {1} for me.", "Quito", "Porto"),
    ("is it colder in {0} than in {1}", "Oslo", "Graz"),
]
DATES = [
    ("Which weekday do we have?", "Thursday"),
    ("today's date please", "18|eighteenth"),
    ("Tell me what day today is.", "Thursday"),
    ("do you know which month we are in?", "June"),
    ("what's the time now?", "9[:.]47"),
    ("In which year are we?", "2026"),
]
COMPUTED = [
    ("Use the calculator for 1234 * 5678.", 7006652),
    ("whats 4096 / 64, compute it", 64),
    ("8711 + 9322 makes how much? You have a calculator.", 18033),
    ("work out 37 * 43 with your tool", 1591),
    ("(12 + 30) * 17, please calculate", 714),
    ("Compute the value of 2500 - 1777 + 12.", 735),
]


def questions() -> list[Question]:
    """Conversations with tools."""
    out = []
    for name, parameter, asked in (("get_weather", "city", ONE + TWO), ("get_current_weather", "location", TWO[:6])):
        tool = _weather(name, parameter)
        for text, *cities in asked:
            out.append(_about_weather(text, tool, parameter, cities))
    tools = _agents_tools()
    for text, right in DATES:
        out.append(Question("agent's tools", (Turn(text, (right,), from_text=True, calls=(("get_date", {}),)),), tools))
    for text, value in COMPUTED:
        right = f"(?<!\\d){value}(?!\\d)|(?<!\\d){value:,}(?!\\d)"
        out.append(Question("agent's tools", (Turn(text, (right,)),), tools))
    out.append(Question("agent's tools", (Turn("Add up 40 and 2 for me", (number(42),)),), tools))
    out.append(Question("agent's tools", (Turn("Who invented the telephone?", may_decline=True),), tools))
    out.append(Question("agent's tools", (Turn("hey, good to see you", (r"\b(hello|hi|help)\b",)),), tools))
    return out


def _about_weather(text: str, tool: Tool, parameter: str, cities: list[str]) -> Question:
    calls = tuple((tool.name, {parameter: city}) for city in cities)
    degrees = tuple(rf"(?<![\d-]){WEATHER[city.lower()][1]}(?!\d)" for city in cities)
    kind = "tools, one city" if len(cities) == 1 else "tools, two cities"
    return Question(kind, (Turn(text.format(*cities), degrees, from_text=True, calls=calls),), (tool,))


def _weather(name: str, parameter: str) -> Tool:
    def call(arguments: dict[str, Any]) -> str:
        condition, degrees = WEATHER[arguments[parameter].lower()]
        return json.dumps({"temperature": degrees, "condition": condition})

    properties = {parameter: {"type": "string", "description": "Name of a city"}}
    schema = {"type": "object", "properties": properties, "required": [parameter]}
    function = {"name": name, "description": "The weather in a city now", "parameters": schema}
    return Tool({"type": "function", "function": function}, call)


def _agents_tools() -> tuple[Tool, ...]:
    """Those that an agent has when its user names none, on a day that is always the same."""
    calls = {"get_date": lambda arguments: NOW, "calculator": lambda arguments: str(calculator(**arguments))}
    return tuple(Tool(d, calls.get(d["function"]["name"], _nothing)) for d in declarations())


def _nothing(arguments: dict[str, Any]) -> str:
    raise LookupError("there is no such result")
