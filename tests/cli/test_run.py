"""kimi-cpu run as a person calls it: what goes to stdout, to stderr, and how it ends."""

import json
import signal
import subprocess
import sys
import time

import pytest
from openai.types.chat import ChatCompletion

from kimi_cpu.llm import Piece

from .terminal import Terminal


def test_raw_answer_goes_to_stdout_and_statistics_to_stderr(kimi_cpu, tiny_file):
    done = kimi_cpu("run", "-m", tiny_file, "--raw", "abc", "-n", 8, "--temp", 0, "-c", 256, "--ignore-eos")
    assert done.code == 0
    assert done.out.endswith("\n") and done.out.strip()
    assert "answer 8 tokens (0 thinking)" in done.err and "GB/s read" in done.err and done.err.count("\n") == 1


def test_prompt_may_come_from_a_pipe_or_a_file(kimi_cpu, tiny_file, tmp_path):
    (tmp_path / "prompt").write_text("abc")
    options = ("-m", tiny_file, "--raw", "-n", 8, "--temp", 0, "-c", 256)
    outs = [
        kimi_cpu("run", *options, "abc").out,
        kimi_cpu("run", *options, stdin="abc").out,
        kimi_cpu("run", *options, "-", stdin="abc").out,
        kimi_cpu("run", *options, "-f", tmp_path / "prompt").out,
        kimi_cpu("run", *options, "-p", "abc").out,
    ]
    assert len(set(outs)) == 1


def test_thinking_goes_to_stderr_without_colours(capfd):
    from kimi_cpu.cli.display import Display

    display = Display(num_prompt_tokens=3)
    for piece in (Piece(reasoning_content="I "), Piece(reasoning_content="think."), Piece(content="So.")):
        display.push(piece)
    display.finish()
    assert capfd.readouterr() == ("So.\n", "I think.\n\n")


def test_json_is_one_openai_object(kimi_cpu, tiny_file):
    done = kimi_cpu("run", "-m", tiny_file, "Hi", "-n", 6, "--seed", 1, "--json", "-c", 512)
    reply = json.loads(done.out)
    assert ChatCompletion.model_validate(reply, strict=True).to_dict() == reply
    assert reply["usage"]["completion_tokens"] == 6
    assert reply["choices"][0]["finish_reason"] == "length"


def test_session_file_carries_the_conversation_on(kimi_cpu, tiny_file, tmp_path):
    options = ("-m", tiny_file, "-n", 5, "--temp", 0, "-c", 512, "--session", tmp_path / "talk")
    assert "(0 cached)" in kimi_cpu("run", *options, "Hi").err
    second = kimi_cpu("run", *options, "More").err
    assert "(0 cached)" not in second and "cached" in second


def test_no_tokens_are_no_answer_and_a_sentence(kimi_cpu, tiny_file):
    done = kimi_cpu("run", "-m", tiny_file, "Hi", "-n", 0, "-c", 512)
    assert (done.code, done.out) == (0, "") and "-n 0" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-n", 5], ["in its thinking", "limit of tokens", "(-n)", "--think-budget"]),
        (["-n", 5, "--json"], ["in its thinking", "(-n)"]),
        (["-n", 5, "--no-think"], ["the answer was cut off", "(-n)"]),
        (["-c", 40], ["the answer was cut off", "the context of 40 tokens is full (-c)"]),
        (["-n", 5, "--raw"], ["the answer was cut off", "(-n)"]),
        (["-n", -1, "-c", 64, "--raw", "--top-k", -1, "--seed", -1], ["the context of 64 tokens is full"]),
    ],
    ids=str,
)
def test_answer_that_ended_early_says_why(kimi_cpu, options, told):
    done = kimi_cpu("run", "Hi", "--ignore-eos", "--temp", 0, *options)  # the bundled model, which thinks
    assert done.code == 0 and all(words in done.err for words in told), done.err


def test_whole_answer_says_nothing_of_its_end(kimi_cpu, tiny_file):
    assert "cut off" not in kimi_cpu("run", "-m", tiny_file, "--raw", "abc", "-c", 512, "--stop", "a").err


def test_empty_answer_is_told_of():
    from kimi_cpu.cli.display import ending
    from kimi_cpu.llm import ChatCompletion, Timings, Usage

    def turn(content, reason, **more):
        return ChatCompletion(content, "Hm.", (), reason, Usage(9, 3), Timings(1.0, 1.0), **more)

    assert "empty" in ending(turn(None, "stop"), 100) and "stop text" in ending(turn(None, "stop", stop_text="x"), 100)
    assert "repeated itself" in ending(turn("Yes.", "stop", stop_reason="repetition"), 100)
    assert ending(turn("Yes.", "stop"), 100) is None and ending(turn(None, "cancelled"), 100) is None
    assert "is full" in ending(turn("Yes.", "length"), 12) and "thinking" in ending(turn(None, "length"), 100)


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["run", "-m", "FILE", "--raw", "abc", "-p", "abc"], 2, "once"),
        (["run", "-m", "FILE", ""], 2, "empty"),
        (["run", "-m", "FILE", "-f", "FILE"], 2, "no text in UTF-8"),
        (["run", "-m", "FILE", "abc", "--temp", "-1"], 2, "--temp"),
        (["run", "-m", "FILE", "abc", "-n", "-5"], 2, "--max-tokens"),
        (["run", "-m", "FILE", "abc", "--stop", ""], 2, "--stop"),
        (["run", "-m", "FILE", "abc", "--temp", "nan"], 2, "--temp"),
        (["run", "-m", "FILE", "abc", "--seed", str(2**64)], 2, "--seed"),
        (["run", "-m", "FILE", "abc", "--no-think", "--think-budget", "9"], 2, "contradict"),
        (["run", "-m", "FILE", "abc", "--raw", "--think-budget", "0"], 2, "--raw takes no"),
        (["run", "-m", "FILE", "abc", "--raw", "--json"], 2, "--raw takes no"),
        (["run", "-m", "FILE", "--raw", "abc", "-c", "2"], 1, "context"),
        (["run", "-m", "FILE", "abc", "-c", "9999999"], 1, "allows 1 to"),
        (["run", "-m", "missing.gguf", "abc"], 1, "missing.gguf: No such file"),
        (["run", "-m", "DIRECTORY", "abc"], 2, "kimi-cpu convert"),
        (["run", "-m", "TEXT", "abc"], 5, "no GGUF file"),
        (["run", "-m", "TRUNCATED", "abc"], 5, "cut short"),
        (["run", "-m", "FILE", "abc", "--session", "TEXT"], 1, "is not a session file"),
        (["nonsense"], 2, "nonsense"),
        (["run", "--nonsense"], 2, "--nonsense"),
    ],
)
def test_mistakes_end_in_one_line_and_an_exit_code(kimi_cpu, tiny_file, tmp_path, args, code, text):
    names = {"FILE": tiny_file, "DIRECTORY": tmp_path, "TRUNCATED": tmp_path / "cut.gguf", "TEXT": tmp_path / "notes"}
    names["TRUNCATED"].write_bytes(tiny_file.read_bytes()[:100_000])
    names["TEXT"].write_text("My notes.")
    done = kimi_cpu(*[names.get(a, a) for a in args])
    assert (done.code, done.out) == (code, "")
    assert text in done.err and done.err.startswith("kimi-cpu: ") and done.err.count("\n") == 1
    assert names["TEXT"].read_text() == "My notes."


def test_reader_that_leaves_is_no_error_message(tiny_file):
    command = [sys.executable, "-m", "kimi_cpu", "run", "-m", tiny_file, "--raw", "abc", "--ignore-eos"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (141, b"")


def test_first_interrupt_keeps_the_answer(tiny_file, home):
    options = ["run", "-m", tiny_file, "Hi", "--ignore-eos", "--session", home / "talk"]
    command = [sys.executable, "-m", "kimi_cpu", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.endswith(b"\n") and b"answer" in err and b"Traceback" not in err
    assert [m["role"] for m in json.loads((home / "talk.json").read_text())] == ["user", "assistant"]


def test_a_command_ends_without_a_look_for_garbage():
    shown = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > len(gc.get_objects())))"
    command = [sys.executable, "-c", f"{shown}; from kimi_cpu.cli import main; main()", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.split()[-1] == "True"


def test_statistics_count_what_was_computed_and_read():
    from kimi_cpu.cli.display import statistics
    from kimi_cpu.llm import Timings, Usage

    timings = Timings(prefill_s=2.0, decode_s=4.0, decode_steps=10)
    told = statistics(Usage(100, 21, 60, 9), timings, 2 * 10**9, lambda read: None)
    assert told == (
        "prompt 100 tokens (60 cached), 20.0 tokens/s; answer 21 tokens (9 thinking), 5.0 tokens/s, 5.0 GB/s read"
    )
    shared = statistics(Usage(100, 21, 60, 9), timings, 2 * 10**9, lambda read: 4 * read)
    assert shared == told + ", 25% of this machine's 20 GB/s"
    stopped = statistics(Usage(100, 0), Timings(prefill_s=2.0, decode_s=0.0), 2 * 10**9, lambda read: None)
    assert "stopped" in stopped


@pytest.mark.parametrize("colours", [True, False])
def test_long_prompt_shows_a_bar_on_a_terminal(monkeypatch, colours):
    from kimi_cpu.cli import display

    class Screen:
        def isatty(self):
            return True

    monkeypatch.setenv("NO_COLOR", "" if colours else "1")
    monkeypatch.setenv("TERM", "xterm")
    assert display.has_colours(Screen()) == colours
    if not colours:
        return
    monkeypatch.setattr(display, "BAR_AFTER_S", 0.01)
    bar = display._PromptBar(100)
    end = time.monotonic() + 20
    while bar._display is None and time.monotonic() < end:
        time.sleep(0.01)
    assert bar.push(Piece(prompt_progress=(40, 100))) is bar
    assert bar._display.tasks[0].completed == 40
    assert bar.push(Piece(content="a", token_ids=(5,))) is None and bar._display is None


def test_on_a_terminal_without_colours_nothing_but_text_is_written(tiny_file):
    options = ("--raw", "abc", "-n", "5", "--seed", "1", "--ignore-eos", "-c", "256")
    run = Terminal("run", "-m", tiny_file, *options, NO_COLOR="1")
    assert run.exit_code() == 0
    assert b"\x1b" not in run.output and b"answer 5 tokens" in run.output


def test_heavy_shows_trajectories_and_votes_on_stderr_and_the_answer_on_stdout(kimi_cpu):
    done = kimi_cpu("run", "--heavy", 3, "What is 17 + 25?", "--seed", 1, "-n", 64)
    assert done.code == 0 and done.out.strip()
    assert all(f"trajectory {i} of 3, " in done.err for i in (1, 2, 3))
    assert "of 3 trajectories voted" in done.err and "the answer is the " in done.err
    whole = json.loads(kimi_cpu("run", "--heavy", 3, "What is 17 + 25?", "--seed", 1, "-n", 64, "--json").out)
    assert whole["choices"][0]["message"]["content"] == done.out.strip()
    assert len(whole["heavy"]["trajectories"]) == 3
    assert kimi_cpu("run", "--raw", "--heavy", 2, "a").code == 2
