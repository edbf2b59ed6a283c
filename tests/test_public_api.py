"""The front door: what it exports, and how little it loads."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import kimi_cpu
from kimi_cpu.config.field import Door, Kind
from kimi_cpu.config.fields import fields_at
from kimi_cpu.llm import ChatKeywords, LoadKeywords, LoadOptions, SamplingKeywords

TESTS = Path(__file__).parent
TYPES = {
    Kind.NUMBER: float | None,
    Kind.INTEGER: int | None,
    Kind.FLAG: bool | None,
    Kind.FLAG_OR_OBJECT: bool | Mapping[str, int] | None,
    Kind.TEXT: str | None,
    Kind.TEXTS: str | list[str] | tuple[str, ...] | None,
    Kind.OBJECT: Mapping[str, Any] | None,
    Kind.TEXT_OR_OBJECT: str | Mapping[str, Any] | None,
    Kind.BIAS: Mapping[int, float] | Mapping[str, float] | None,
}
HEAVY = {"numba", "numpy", "gguf", "jinja2", "sentencepiece", "rich"}


def loaded_by(code):
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return HEAVY & set(out.stdout.split())


def test_names_are_sorted_and_all_of_them_exist():
    assert kimi_cpu.__all__ == sorted(kimi_cpu.__all__)
    for name in kimi_cpu.__all__:
        assert getattr(kimi_cpu, name) is not None


def test_type_checkers_are_told_of_the_names_that_exist():
    tree = ast.parse(Path(kimi_cpu.__file__).read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    names = [alias.name for node in typed.body for alias in node.names]
    assert sorted(names) == sorted(kimi_cpu.__all__)
    assert (Path(kimi_cpu.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    ("keywords", "door", "others"),
    [(SamplingKeywords, Door.PYTHON_RAW, set()), (ChatKeywords, Door.PYTHON_CHAT, {"tools"})],
    ids=["raw", "chat"],
)
def test_typed_keywords_are_the_fields_of_the_table(keywords, door, others):
    told = get_type_hints(keywords)
    assert told.pop("sampling") == kimi_cpu.Sampling | None
    known = fields_at(door)
    assert told.keys() | others == known.keys()
    for name, hint in told.items():
        assert hint == TYPES[known[name].kind], name


def test_typed_keywords_of_load_are_its_options():
    told, options = get_type_hints(LoadKeywords), get_type_hints(LoadOptions)
    assert list(told) == [f.name for f in fields(LoadOptions)]
    for name, hint in told.items():
        assert set(get_args(hint)) == {*(get_args(options[name]) or (options[name],)), type(None)}, name


@pytest.mark.parametrize(
    "function",
    [
        kimi_cpu.load,
        kimi_cpu.LLM.generate,
        kimi_cpu.LLM.chat,
        kimi_cpu.LLM.stream,
        kimi_cpu.LLM.conversation,
        kimi_cpu.Conversation.ask,
        kimi_cpu.Conversation.stream,
        kimi_cpu.Conversation.submit,
    ],
    ids=lambda f: f.__qualname__,
)
def test_parameters_have_types(function):
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in list(signature.parameters.values())[function.__qualname__ != "load" :]:
        assert parameter.annotation not in (inspect.Parameter.empty, Any), parameter


@pytest.mark.skipif(find_spec("basedpyright") is None, reason="needs a type checker: pip install '.[dev]'")
def test_strict_type_checker_sees_real_types_and_finds_mistakes(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import kimi_cpu\n"
        "llm = kimi_cpu.load(contxt=5)\n"
        "llm.chat([], temprature=1.0)\n"
        "llm.generate('a', no_think=True)\n"
        "llm.conversation().ask('a').txt\n"
        "llm.submit('a').result().tool_calls\n"
    )
    program = TESTS / "user_program.py"
    config = {"typeCheckingMode": "strict", "include": [str(program), str(wrong)], "extraPaths": [str(TESTS.parent)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = [(Path(e["file"]).name, e["range"]["start"]["line"]) for e in json.loads(done.stdout)["generalDiagnostics"]]
    assert {line for name, line in found if name == wrong.name} == {1, 2, 3, 4, 5}, done.stdout
    assert all(name == wrong.name for name, _ in found), done.stdout


def test_things_in_hand_say_what_they_are(tiny_file):
    with kimi_cpu.load(tiny_file, context=256) as llm:
        assert repr(llm) == f"<LLM {tiny_file}, context of 256 tokens>"
        assert repr(llm.session()) == "<Session, 0 tokens>"
        assert repr(llm.conversation()) == "<Conversation, 0 messages, 0 tokens>"
        handle = llm.submit("abc", max_tokens=4, ignore_eos=True)
        answer = handle.result()
        assert repr(handle) == "<Generation, ended: 4 tokens of an answer to 3>"
        assert repr(answer).startswith(f"Completion(text={answer.text!r}, finish_reason='length'")
        assert "token_ids" not in repr(answer) and "logprobs" not in repr(answer)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = kimi_cpu.nothing


def test_convert_is_a_function_beside_the_room_that_does_it():
    code = "import kimi_cpu.conversion.journal, kimi_cpu; print(callable(kimi_cpu.convert))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "True\n"


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import kimi_cpu") == set()


@pytest.mark.parametrize(
    "args", [[], ["batch"], ["merge"], ["run"], ["convert"], ["plan"], ["inspect"], ["verify"], ["warmup"]]
)
def test_help_loads_nothing_heavy(args):
    code = (
        "import contextlib, io, sys\n"
        f"sys.argv = ['kimi-cpu', *{args}, '--help']\n"
        "from kimi_cpu.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    with contextlib.suppress(SystemExit): main()\n"
        "assert 'Usage' in out.getvalue()"
    )
    assert loaded_by(code) == set()
