"""Tools out of functions: what the model is told, and what is called."""

import enum
from typing import Annotated, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field

from kimi_cpu.agent import Tool, tool
from kimi_cpu.agent.modules import tools_of_file
from kimi_cpu.agent.tool import BadArguments, arguments_of, tool_of
from kimi_cpu.chat.enforcer import Enforcer
from kimi_cpu.errors import ConfigError


class Place(BaseModel):
    city: str
    title: str = "none"


class Colour(enum.Enum):
    RED = "red"


def forecast(
    place: Place,
    days: Annotated[int, Field(ge=1, le=9)],
    unit: Literal["C", "F"] = "C",
    colours: list[Colour] | None = None,
) -> str:
    """Forecast the weather.

    It is often wrong.

    Args:
        place: Where.
        days: How many days.
    """
    return f"{place.city} {place.title} {days} {unit} {colours}"


def test_declaration_is_the_signature_and_the_docstring():
    made = tool_of(forecast)
    assert (made.name, made.description) == ("forecast", "Forecast the weather.\n\nIt is often wrong.")
    properties = made.parameters["properties"]
    assert properties["days"] == {"description": "How many days.", "maximum": 9, "minimum": 1, "type": "integer"}
    assert properties["place"]["description"] == "Where." and properties["unit"]["enum"] == ["C", "F"]
    assert made.parameters["required"] == ["place", "days"] and made.parameters["additionalProperties"] is False
    jsonschema.Draft202012Validator.check_schema(made.parameters)
    jsonschema.validate({"place": {"city": "Rome"}, "days": 3, "colours": ["red"]}, made.parameters)
    assert "title" in made.parameters["$defs"]["Place"]["properties"]


def test_arguments_become_the_values_that_the_function_declares():
    made = tool_of(forecast)
    assert made.call({"place": {"city": "Rome"}, "days": 3, "colours": ["red"]}, "1") == (
        f"Rome none 3 C {[Colour.RED]}"
    )
    with pytest.raises(BadArguments, match=r"days: Input should be less than or equal to 9; nights: Unexpected"):
        made.call({"place": {"city": "Rome"}, "days": 30, "nights": 2}, "1")
    with pytest.raises(BadArguments, match="no JSON: "):
        arguments_of("{")
    with pytest.raises(BadArguments, match="no JSON object"):
        arguments_of("[1]")
    assert arguments_of("") == {}


def test_enforcer_takes_the_declaration_as_it_is(tiny_file):
    import kimi_cpu

    tokenizer = kimi_cpu.Tokenizer.load(tiny_file)
    declaration = tool_of(forecast).declaration() | {}
    declaration["function"]["strict"] = True  # what could not be enforced would be refused
    assert Enforcer(tokenizer, [declaration], "required", None, thinking=False, next_index=0, max_tokens=9) is not None


def test_call_id_is_given_and_never_asked_for():
    def pay(amount: int, call_id: str) -> str:
        """Pay."""
        return f"{amount} {call_id}"

    made = tool_of(pay)
    assert made.idempotent and made.repeatable and list(made.parameters["properties"]) == ["amount"]
    assert made.parameters["required"] == ["amount"]
    assert made.call({"amount": 3, "call_id": "forged"}, "run.1.0") == "3 run.1.0"


def test_marks_coroutines_methods_and_tools_are_taken():
    @tool(name="other", timeout=3, read_only=True)
    async def wait(x):
        return x + 1

    class Shop:
        def price(self, item: str) -> int:
            return len(item)

    made = tool_of(wait)
    assert (made.name, made.timeout, made.read_only, made.repeatable) == ("other", 3, True, True)
    assert made.call({"x": 1}, "1") == 2
    assert tool_of(Shop().price).call({"item": "abc"}, "1") == 3
    assert tool_of(made) is made and not tool_of(Shop().price).repeatable


def test_functions_that_cannot_be_tools_are_refused_in_a_sentence():
    def star(*values: int): ...
    def strange(x: "Nothing"): ...  # noqa: F821
    def positional(x, /, *, y): ...

    for function in (star, strange, positional):
        with pytest.raises(ConfigError, match=function.__name__):
            tool_of(function)
    with pytest.raises(ConfigError, match="no name for a tool"):
        Tool("a b", "", {}, print)


def test_file_of_python_gives_its_functions_or_its_list(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import beside\nfrom os import getcwd\n_a = 1\ndef one(x: int): ...\ndef _two(): ...\n")
    (tmp_path / "beside.py").write_text("")
    assert [made.name for made in tools_of_file(path)] == ["one"]
    path.write_text("from shutil import which\ndef one(): ...\ntools = [which]\n")
    assert [made.name for made in tools_of_file(path)] == ["which"]
    for text, said in (("x = 1", "no tools"), ("1 / 0", "ZeroDivisionError"), ("def", "SyntaxError")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            tools_of_file(path)
    with pytest.raises(FileNotFoundError):
        tools_of_file(tmp_path / "none.py")
    with pytest.raises(ConfigError, match=r"\.py"):
        tools_of_file(tmp_path)
