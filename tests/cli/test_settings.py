"""Where options come from besides the command line, completion, and the small commands."""

import json
import subprocess
import sys

import click
import pytest

from kimi_cpu.cli import COMMANDS, cli


@pytest.fixture
def config(home):
    """Writes config.toml."""

    def write(text):
        path = home / "config" / "kimi-cpu" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def answered(done):
    """Tokens of the answer, by the statistics."""
    return int(done.err.split("answer ")[1].split()[0])


def test_options_come_from_the_command_line_then_the_environment_then_the_file(
    kimi_cpu, config, tiny_file, monkeypatch
):
    run = ("run", "Hi", "--ignore-eos")
    config(f'model = "{tiny_file}"\ncontext = 512\nmax-tokens = 2\n[run]\nmax-tokens = 3\n')
    assert answered(kimi_cpu(*run)) == 3
    monkeypatch.setenv("KIMI_CPU_RUN_MAX_TOKENS", "4")
    assert answered(kimi_cpu(*run)) == 4
    assert answered(kimi_cpu(*run, "-n", "5")) == 5
    monkeypatch.setenv("KIMI_CPU_CONTEXT", "40")
    assert "context length is 40 tokens" in kimi_cpu(*run).err


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("modle = 'x'", 1, "--modle"),
        ("[run]\ntempp = 1", 1, "--tempp"),
        ("[rum]\ntemp = 1", 1, "[rum]"),
        ("[run]\ntemp = -1", 2, "--temp"),
        ("= 1", 1, "not valid TOML"),
    ],
)
def test_mistakes_in_the_file_are_named(kimi_cpu, config, text, code, told):
    config(text)
    done = kimi_cpu("run", "Hi", "-m", "x")
    assert done.code == code and told in done.err and done.err.count("\n") == 1


def test_key_of_the_file_means_what_the_option_does():
    from kimi_cpu.cli.batch import batch_command as batch
    from kimi_cpu.cli.options import defaults

    assert defaults({"stop": "END", "seed": -1}, batch, [batch]) == {"stop": ["END"], "seed": -1}
    assert defaults({"batch": {"stop": ["a", "b"], "no-resume": True}}, batch, [batch]) == {
        "stop": ["a", "b"],
        "resume": False,
    }
    assert defaults({"resume": True}, batch, [batch]) == {"resume": True}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_an_environment_variable_and_every_help_an_example(name):
    command = cli.get_command(None, name)
    assert f"kimi-cpu {name}" in command.help
    assert all(p.allow_from_autoenv for p in command.params if isinstance(p, click.Option))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_asks_kimi_cpu(kimi_cpu, shell):
    done = kimi_cpu("completion", shell)
    assert done.code == 0 and "_KIMI_CPU_COMPLETE" in done.out


def test_shell_gets_completions():
    code = "from kimi_cpu.cli import main; main()"
    words = {"COMP_WORDS": "kimi-cpu run --think-b", "COMP_CWORD": "2", "_KIMI_CPU_COMPLETE": "bash_complete"}
    done = subprocess.run([sys.executable, "-c", code], env=words | {"PATH": ""}, capture_output=True, text=True)
    assert done.stdout.split() == ["plain,--think-budget"]


def test_tokens_of_a_text_and_back(kimi_cpu, tiny_checkpoint):
    tokenize = ("tokenize", "-m", tiny_checkpoint)
    assert kimi_cpu(*tokenize, "Hé<|im_end|>").out == '72\t"H"\n195\t0xc3\n169\t0xa9\n258\t"<|im_end|>"\n'
    ids = json.loads(kimi_cpu(*tokenize, "--json", "--no-special", stdin="é<|im_end|>").out)
    assert ids == list("é<|im_end|>".encode())
    assert kimi_cpu(*tokenize, "--decode", json.dumps(ids)).out == "é<|im_end|>\n"
    assert kimi_cpu(*tokenize, "--decode", "a b").code == 2


def test_inspect_names_the_instruction_set(kimi_cpu):
    from kimi_cpu.kernels import runtime

    assert f"isa: {runtime.isa().name}" in kimi_cpu("inspect", "--cpu").out
