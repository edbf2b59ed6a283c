"""The front door: what it exports, and how little it loads."""

import subprocess
import sys

import pytest

import kimi_cpu

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
