"""kimi-cpu chat: from a pipe, and on a terminal with its keys."""

import asyncio
import json
import os
import pty
import signal
import sys
import termios

import pytest

from tests.llm.test_wall import damaged

from .terminal import Terminal

OPTIONS = ("--seed", "1", "--ignore-eos", "-c", "2048")


@pytest.fixture
def piped(kimi_cpu, tiny_file):
    """kimi-cpu chat with lines on stdin."""

    def call(*lines, options=("-n", "6")):
        return kimi_cpu("chat", "-m", tiny_file, *OPTIONS, *options, stdin="\n".join(lines) + "\n")

    return call


def test_each_line_of_a_pipe_is_a_message_and_the_second_finds_the_first_computed(piped):
    code, out, err = piped("Hello", '"""of two', 'lines"""', "/stats", "/exit", "never read")
    assert code == 0 and len(out.splitlines()) >= 2
    assert "(0 cached)" not in err and "6 tokens" in err


def test_conversation_is_edited_saved_and_loaded(piped, home):
    file = home / "note.txt"
    file.write_text("a note")
    code, _, err = piped(
        "/system Be brief.", "one", "two", "/undo", f"/read {file}", "three", "/retry", "/save talk",
        "/reset", "/load talk", "/sessions",
    )  # fmt: skip
    assert code == 0 and "forgotten: two" in err and "2 messages so far" in err and "\ntalk\n" in err
    messages = json.loads((home / "data" / "kimi-cpu" / "sessions" / "talk.json").read_text())
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert messages[0]["content"] == "Be brief." and messages[1]["content"] == "one"
    assert messages[3]["content"] == "note.txt:\n```\na note\n```\n\nthree"


def test_session_file_goes_on_in_another_process(piped, home):
    options = ("-n", "6", "--session", str(home / "here"))
    piped("Hello", options=options)
    _, _, err = piped("More", "/stats", options=options)
    assert "(0 cached)" not in err
    assert len(json.loads((home / "here.json").read_text())) == 4


def test_options_are_set_and_wrong_ones_refused_in_a_sentence(piped):
    lines = ["/set temp 0", "/set top-p 7", "/set nothing 1", "/set seed x", "/set", "/nonsense", "/load none", "/save"]
    code, out, err = piped(*lines)
    assert (code, out) == (0, "")
    assert "top_p is 7.0" in err and "'nothing'" in err and "'x'" in err and "temperature     0.0" in err
    assert "/nonsense" in err and "/sessions lists them" in err and "/save takes something else" in err
    assert "Traceback" not in err


def test_answer_that_fails_is_told_of_and_the_conversation_goes_on(kimi_cpu, tiny_file, tmp_path, home):
    path = damaged(tiny_file, tmp_path / "damaged.gguf", "token_embd.weight", ord("~"))  # its tokens are bytes
    lines = ["Hello", "~", "More", "/save talk"]
    code, out, err = kimi_cpu("chat", "-m", path, *OPTIONS, "-n", "6", stdin="\n".join(lines) + "\n")
    assert code == 0 and f"kimi-cpu verify {path}" in err and "The message is forgotten." in err
    messages = json.loads((home / "data" / "kimi-cpu" / "sessions" / "talk.json").read_text())
    assert [m["content"] for m in messages if m["role"] == "user"] == ["Hello", "More"] and len(messages) == 4


def test_stopped_answer_is_kept_and_a_second_interrupt_leaves(home, tiny_file):
    chat = Terminal("chat", "-m", tiny_file, *OPTIONS)
    chat.wait(lambda lines: lines[-1:] == [">>>"])
    chat.type("Hello\r")
    chat.wait(lambda lines: len(lines) > 1 and not lines[-1].startswith((">>>", "reading")))  # the answer comes
    chat.type("\x03")
    stats = "".join(chat.ask("/stats"))
    assert "(0 thinking)" in stats and "GB/s read" in stats
    chat.type("\x03")
    assert chat.exit_code() == 130
    assert "Hello" in (home / "state" / "kimi-cpu" / "history").read_text()


def test_line_editor_takes_several_lines_and_clears_what_was_typed(home, tiny_file):
    chat = Terminal("chat", "-m", tiny_file, *OPTIONS, "-n", "3", KIMI_CPU_NO_HISTORY="1")
    chat.wait(lambda lines: lines[-1:] == [">>>"])
    chat.type('"""one\r')
    chat.wait(lambda lines: lines[-1] == "...")
    chat.type('two"""\r')
    chat.wait(lambda lines: lines[-1] == ">>>" and len(lines) > 3)
    chat.type("unsent")
    chat.wait(lambda lines: lines[-1] == ">>> unsent")
    chat.type("\x03")
    chat.wait(lambda lines: lines[-1] == ">>>")
    chat.ask("/save talk")
    chat.type("\x04")
    assert chat.exit_code() == 0
    messages = json.loads((home / "data" / "kimi-cpu" / "sessions" / "talk.json").read_text())
    assert [m["content"] for m in messages if m["role"] == "user"] == ["one\ntwo"]
    assert not (home / "state").exists()


def test_key_while_an_answer_comes_ends_the_thinking_and_leaves_the_terminal_as_it_was(monkeypatch):
    from kimi_cpu.cli import chat

    class Handle:
        now = stopped = 0

        def answer_now(self):
            self.now += 1

        def cancel(self):
            self.stopped += 1

    async def press(handle, keys, reached):
        before = termios.tcgetattr(slave)
        with chat._stopped_by_keys(handle):
            assert not termios.tcgetattr(slave)[3] & termios.ECHO
            keys()
            async with asyncio.timeout(20):
                while not reached():
                    await asyncio.sleep(0.01)
        assert termios.tcgetattr(slave) == before

    master, slave = pty.openpty()
    with open(slave, closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        handle = Handle()
        asyncio.run(press(handle, lambda: os.write(master, b"x\x14"), lambda: handle.now))
        asyncio.run(press(handle, lambda: signal.raise_signal(signal.SIGINT), lambda: handle.stopped))
    assert (handle.now, handle.stopped) == (1, 1)
    os.close(master)
    os.close(slave)


def test_what_a_model_writes_cannot_command_the_terminal():
    from kimi_cpu.cli.harmless import harmless

    class Screen:
        def isatty(self):
            return True

    assert harmless("a\x1b[2J\tb\nc\x9b\x7f", Screen()) == "a␛[2J\tb\nc�␡"


def test_heavy_is_set_and_its_votes_are_told(piped):
    code, out, err = piped("Hello", "/set heavy 2", "Hello", "/stats", "/set heavy 0")
    assert code == 0 and len(out.splitlines()) >= 1
    assert "of 2 trajectories voted" in err and "heavy is 0" in err
