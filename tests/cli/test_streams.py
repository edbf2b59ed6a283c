"""Streams that are closed, full or left: an answer that is lost is told by the exit code, and none is a traceback."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from .terminal import Terminal

COMMANDS = [
    "--help",
    "--version",
    "run --help",
    "inspect --cpu",
    "inspect MODEL",
    "inspect MODEL --json",
    "plan MODEL",
    "plan MODEL --json",
    "tokenize -m MODEL Hello",
    "tokenize -m MODEL --json Hello",
    "tokenize -m MODEL --decode 72",
    "merge RESULTS",
    "verify MODEL",
    "completion bash",
    "run -m MODEL RUN Hi",
    "run -m MODEL RUN Hi --json",
    "run -m MODEL -c 256 -n 8 --ignore-eos --temp 0 --raw Hi",
]


@pytest.fixture
def shell(tiny_file, tmp_path):
    """A line of bash in which KIMI stands for kimi-cpu."""
    (tmp_path / "results").write_bytes(b'{"id": "batch_req_' + b"0" * 32 + b'"}\n')

    def call(line, **options):
        for name, path in (("MODEL", tiny_file), ("RESULTS", tmp_path / "results")):
            line = line.replace(name, str(path))
        line = line.replace("RUN", "-c 256 -n 8 --ignore-eos --no-think --temp 0")
        line = line.replace("KIMI", f"{sys.executable} -m kimi_cpu")
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, **options)

    return call


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
def test_stdout_that_takes_nothing_is_an_error_of_every_command(shell, command, stdout):
    done = shell(f"KIMI {command} {stdout}")
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("kimi-cpu: stdout: ")
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("command", ["--help", "inspect MODEL", "run -m MODEL RUN Hi"])
def test_reader_that_left_is_exit_code_141(shell, command):
    done = shell(f"(sleep 0.1; KIMI {command}; echo $? >&2) | true")
    assert done.stderr.splitlines()[-1] == "141" and "Traceback" not in done.stderr


@pytest.mark.parametrize("streams", ["2>&-", "2>&- <&-", "<&-"])
def test_answer_does_not_need_the_other_streams(shell, streams):
    done = shell(f"KIMI run -m MODEL RUN Hi {streams}")
    assert done.returncode == 0 and done.stdout


@pytest.mark.parametrize("streams", [">&- 2>&-", ">&- 2>&- <&-", "2>/dev/full >/dev/full"])
def test_lost_answer_and_lost_error_are_still_exit_code_1(shell, streams):
    assert shell(f"KIMI run -m MODEL RUN Hi {streams}").returncode == 1


def test_answer_that_nobody_can_read_is_not_begun(shell):
    done = shell("KIMI run -m MODEL -c 256 -n 0 Hi >&-")
    assert (done.returncode, done.stderr) == (1, "kimi-cpu: stdout: Bad file descriptor\n")


def test_closed_stdin_is_an_empty_prompt(shell):
    done = shell("KIMI run -m MODEL <&-")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "prompt is empty" in done.stderr


def test_prompt_may_come_through_a_fifo(shell, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    done = shell(f"echo Hi > {tmp_path}/fifo & KIMI tokenize -m MODEL -f {tmp_path}/fifo --json")
    assert (done.returncode, done.stdout) == (0, "[72, 105, 10]\n")
    assert shell("KIMI tokenize -m MODEL --json -f <(printf Hi)").stdout == "[72, 105]\n"


@pytest.mark.parametrize("where", ["-f /dev/zero", "-f <(cat /dev/zero)", "- < /dev/zero", "< /dev/zero"])
def test_prompt_without_end_is_one_sentence(shell, where):
    done = shell(f"ulimit -v 4000000; KIMI run -m MODEL {where}")
    assert done.returncode in (1, 2) and done.stderr.count("\n") == 1
    assert "no file and no pipe" in done.stderr or "more than 64 MiB" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_run_that_is_ended_keeps_what_there_is(tiny_file, home, number):
    command = ["run", "-m", tiny_file, "-c", 4000, "--ignore-eos", "--session", home / "talk", "Hi"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kimi_cpu", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.read(1)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 6
    assert told.splitlines()[-1] == b"kimi-cpu: Stopped by %s; what there was of the answer is kept." % (
        number.name.encode()
    )
    assert (home / "talk").exists() and (home / "talk.json").exists()


def test_hangup_ends_a_chat_after_it_has_saved_the_answer(tiny_file, home):
    chat = Terminal("chat", "-m", tiny_file, "-c", "4000", "--ignore-eos", "--session", home / "talk")
    chat.wait(lambda lines: lines[-1:] == [">>>"])
    chat.type("Hello\r")
    chat.wait(lambda lines: len(lines) > 1 and lines[-1] != ">>>")
    time.sleep(0.5)
    chat.process.send_signal(signal.SIGHUP)
    assert chat.exit_code() == 6
    assert (home / "talk.json").exists()


def test_everything_private_is_its_owners(kimi_cpu, tiny_file, home):
    before = os.umask(0)
    try:
        base = ("-m", tiny_file, "-c", 512, "-n", 2, "--ignore-eos")
        assert kimi_cpu("run", *base, "--session", home / "mine" / "talk", "Hi").code == 0
        assert kimi_cpu("chat", *base, stdin="Hi\n/save kept\n").code == 0
    finally:
        os.umask(before)
    kept = home / "data" / "kimi-cpu" / "sessions"
    files = [home / "mine" / "talk", home / "mine" / "talk.json", kept / "kept", kept / "kept.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files} == {0o700}


def test_history_is_its_owners_and_an_old_one_becomes_so(tiny_file, home):
    history = home / "state" / "kimi-cpu" / "history"
    for mode in (None, 0o644):
        if mode is not None:
            history.chmod(mode)
        chat = Terminal("chat", "-m", tiny_file, "-c", "256", "-n", "1")
        chat.wait(lambda lines: lines[-1:] == [">>>"])
        chat.type("\x04")
        assert chat.exit_code() == 0
        assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700


def saving(kimi_cpu, tiny_file, *lines):
    """What a chat says to lines of input, commands among them."""
    options = ("-m", tiny_file, "-c", 2048, "-n", 2, "--ignore-eos")
    return kimi_cpu("chat", *options, stdin="".join(f"{line}\n" for line in lines))


def test_another_conversation_is_replaced_only_when_that_is_said(kimi_cpu, tiny_file, home):
    folder = home / "data" / "kimi-cpu" / "sessions"
    assert "saved in" in saving(kimi_cpu, tiny_file, "first", "/save talk", "more", "/save talk").err
    first = (folder / "talk.json").read_bytes()
    said = saving(kimi_cpu, tiny_file, "second", "/save talk").err
    assert "kimi-cpu: talk exists; /save! talk replaces it." in said
    assert (folder / "talk.json").read_bytes() == first
    said = saving(kimi_cpu, tiny_file, "/load talk", "third", "/save talk", "/reset", "fourth", "/save talk").err
    assert said.count("saved in") == 1 and said.count("/save! talk replaces it") == 1
    assert "saved in" in saving(kimi_cpu, tiny_file, "second", "/save! talk").err
    assert b"second" in (folder / "talk.json").read_bytes()


@pytest.mark.parametrize("name", ['""', ".", "..", "talk.json", "talk.partial", "x" * 300, "/", "/tmp", '"a\tb"'])
def test_name_that_is_none_is_told(kimi_cpu, tiny_file, home, name):
    done = saving(kimi_cpu, tiny_file, "first", f"/save {name}", "/stats")
    assert done.code == 0 and "saved in" not in done.err and "conversation" in done.err


@pytest.mark.parametrize("force", ["/save", "/save!"])
def test_file_of_something_else_is_no_place_for_a_conversation(kimi_cpu, tiny_file, home, force):
    for name in ("notes", "package.json", "sub.json"):
        (home / name).write_text('{"name": "precious"}')
    for name in ("notes", "package", "sub"):
        done = saving(kimi_cpu, tiny_file, "first", f"{force} {home}/{name}")
        assert "saved in" not in done.err
    assert {(home / n).read_text() for n in ("notes", "package.json", "sub.json")} == {'{"name": "precious"}'}
    assert not (home / "package").exists()


@pytest.mark.parametrize("name", ["fifo", "folder", "model"])
def test_session_that_cannot_be_saved_is_refused_before_the_model_is_loaded(kimi_cpu, tiny_file, home, name):
    os.mkfifo(home / "fifo")
    (home / "folder.json").mkdir()
    (home / "model").symlink_to("/dev/null")
    done = kimi_cpu("run", "-m", home / "none", "--session", home / name, "Hi")
    assert done.code == 1 and "none" not in done.err and ("regular file" in done.err or "a directory" in done.err)


def test_session_is_not_the_prompts_file_nor_the_model(kimi_cpu, tiny_file, home):
    (home / "talk.json").write_text("[]")
    for options in (("-f", home / "talk.json", "--session", home / "talk"), ("--session", tiny_file, "Hi")):
        done = kimi_cpu("run", "-m", tiny_file, *options)
        assert done.code == 1 and "is an input" in done.err
    assert (home / "talk.json").read_text() == "[]"


def test_session_is_never_saved_over_another_file(tiny_file, tmp_path):
    import kimi_cpu
    from kimi_cpu.errors import ConfigError

    (tmp_path / "notes").write_text("precious")
    with kimi_cpu.load(tiny_file, context=256) as llm:
        session = llm.session()
        for path in (tmp_path / "notes", tiny_file):
            before = path.read_bytes()
            with pytest.raises(ConfigError, match="is no session, so it is never replaced"):
                session.save(path)
            assert path.read_bytes() == before
        session.save(tmp_path / "talk")
        session.save(tmp_path / "talk")
