"""One table of fields at every door: none lacks a field or knows one of its own."""

from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path

import click
import pytest

from kimi_cpu.batch.answers import read_body
from kimi_cpu.batch.source import CHAT, COMPLETIONS
from kimi_cpu.config import fields as table
from kimi_cpu.config.field import Door, Kind
from kimi_cpu.config.fields import ANSWER, FIELDS, HEAVY, SAMPLING, SHAPE, THINKING, fields_at
from kimi_cpu.config.parameters import chat_keywords, read
from kimi_cpu.engine import Sampling
from kimi_cpu.errors import RequestError
from kimi_cpu.llm import ChatOptions

HELLO = [{"role": "user", "content": "Hello"}]
SAMPLES = {  # kind: a value, and one of another type
    Kind.NUMBER: (1, "one"),
    Kind.INTEGER: (1, 1.5),
    Kind.FLAG: (True, 1),
    Kind.FLAG_OR_OBJECT: (True, 1),
    Kind.TEXT: ("low", 5),
    Kind.TEXTS: (["a"], [""]),
    Kind.OBJECT: ({}, []),
    Kind.OBJECTS: ([{}], [5]),
    Kind.TEXT_OR_OBJECT: ("none", 5),
    Kind.BIAS: ({"5": 1}, {"x": 1}),
    Kind.PROMPT: ("a", 5),
}
ASIDE = {  # of each command, the parameters that are no fields of requests
    "run": {"prompt", "prompt_option", "file", "raw", "as_json", "system", "session", "hide_thinking"}
    | {"ray", "ray_stages"},
    "chat": {"system", "session", "hide_thinking", "cache_memory", "read_ahead", "speculate"},
    "batch": {"source", "output", "parallel", "resume", "shard", "text", "ordered", "deadline", "as_json"}
    | {"ray", "ray_stages", "mixed", "fetch"},
}
MODEL = {"model", "context", "threads", "chunk", "kv", "compute", "memory", "preload", "numa"}


def names(*rows):
    return {field.name for field in rows}


def at(door):
    return {field.name for field in fields_at(door).values()}


def test_sampling_is_the_tables_and_has_its_defaults():
    assert [f.name for f in fields(Sampling)] == [f.name for f in SAMPLING]
    assert {f.name: f.default for f in fields(Sampling)} == {f.name: f.default for f in SAMPLING}


def test_options_of_a_chat_are_the_tables_and_have_its_defaults():
    rows = {f.name: f for f in (*THINKING, *ANSWER, *HEAVY)}
    dialects = {"reasoning_effort", "thinking", "reasoning"}  # become the others
    assert names(*rows.values()) - dialects == {f.name for f in fields(ChatOptions)}
    for field in fields(ChatOptions):
        assert field.default is not MISSING and field.default == rows[field.name].default


def test_no_two_fields_have_a_name_at_one_door():
    for door in Door:
        told = [name for field in FIELDS if door in field.doors for name in field.names(door)]
        assert len(told) == len(set(told))


def test_a_field_is_everywhere_or_the_table_says_why_not():
    """The rows that leave out more than what cannot be typed and what other owners do not have."""
    for row in (*SAMPLING, *THINKING, *ANSWER, *HEAVY):
        least = table.OURS if row in SAMPLING else table.CHATS
        if row.kind in (Kind.OBJECT, Kind.OBJECTS, Kind.TEXT_OR_OBJECT, Kind.BIAS) or row.name == "parallel_tool_calls":
            least -= table.TYPED  # nothing that a person types; without tools there are no calls
        if row.name == "logprobs":
            least -= table.TYPED | {Door.CHAT}  # shown nowhere there; a chat has it as a flag, with top_logprobs
        assert least <= row.doors, row.name
    told_by_http = {"n", "stream", "stream_options", "return_progress"}
    assert all(row.doors >= table.HTTP for row in SHAPE if row.name in told_by_http)


@pytest.mark.parametrize("name", list(ASIDE))
def test_commands_have_the_fields_of_the_command_line(name):
    command = getattr(import_module(f"kimi_cpu.cli.{name}"), f"{name}_command")
    options = {p.name for p in command.params if isinstance(p, click.Parameter)}
    assert options - ASIDE[name] - MODEL == at(Door.COMMAND_LINE)


def test_set_has_the_fields_of_the_command_line():
    from kimi_cpu.cli.chat import AnswerOptions

    options = AnswerOptions({})
    assert set(options.settable()) == at(Door.SET) == at(Door.COMMAND_LINE)
    for value, told in (("none", None), ("2", 2)):
        options.set("n-predict" if value == "2" else "max-tokens", value)
        assert options.settable()["max_tokens"] == told
    for name, value, told in (("temp", "0.5", 0.5), ("ignore-eos", "on", True), ("stop", "END", ("END",))):
        options.set(name, value)
        assert told in options.settable().values()
    with pytest.raises(RequestError, match="reasoning_effort"):
        options.set("reasoning-effort", "huge")


def test_plugin_has_the_fields_of_the_command_line_and_their_other_names():
    from kimi_cpu.llm_plugin import Options

    assert set(Options.model_fields) == set(fields_at(Door.PLUGIN))
    assert at(Door.PLUGIN) == at(Door.COMMAND_LINE)


def test_bodies_of_the_server_have_the_fields_of_their_doors():
    from kimi_cpu.server.completions import ChatBody, CompletionBody
    from kimi_cpu.server.messages import MessagesBody
    from kimi_cpu.server.responses import ResponsesBody

    assert set(ChatBody.model_fields) == at(Door.CHAT)
    assert set(CompletionBody.model_fields) == at(Door.COMPLETIONS)
    for body in (MessagesBody, ResponsesBody):
        assert at(body.door) <= set(body.model_fields)
    for body in (ChatBody, CompletionBody, MessagesBody, ResponsesBody):
        assert set(fields_at(body.door)) <= set(body.model_json_schema()["properties"])


@pytest.mark.parametrize("door", [Door.CHAT, Door.COMPLETIONS])
def test_batch_takes_what_the_server_takes_under_every_name(door):
    url, least = (CHAT, {"messages": HELLO}) if door is Door.CHAT else (COMPLETIONS, {"prompt": "a"})
    for name, field in fields_at(door).items():
        if name in ("stream", "stream_options", "top_logprobs", *least):
            continue  # not alone, or not in a batch
        value, wrong = SAMPLES[field.kind]
        call = read_body(url, least | {name: value}, {})
        assert read_body(url, least | {name: None}, {}).options == read_body(url, least, {}).options
        if door is Door.CHAT:
            assert call.options == chat_keywords(read(least | {name: value}, door))
        with pytest.raises(RequestError) as refused:
            read_body(url, least | {name: wrong}, {})
        assert (refused.value.param, refused.value.code) == (name, "invalid_type")


def test_every_field_says_what_it_is():
    for field in FIELDS:
        assert field.help.endswith((".", "…")) and field.schema["description"] == field.help


def test_documentation_names_every_field():
    told = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
    for name in {**fields_at(Door.CHAT), **fields_at(Door.COMPLETIONS)}:
        assert f"`{name}`" in told or name == "messages", name
    for effort, budget in table.EFFORTS.items():
        assert f"`{effort}`" in told and (budget is None or not budget or f"{budget:,}" in told)
