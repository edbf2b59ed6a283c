"""A conversion that was killed goes on, and the file is the same."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from kimi_cpu import convert
from kimi_cpu.conversion import journal, native
from kimi_cpu.conversion.journal import OutputFile
from kimi_cpu.errors import Interrupted
from tests import tiny

SLOW = (  # a conversion whose every part takes a moment, in a process of its own: SOURCE OUT LOG
    "import sys, time\n"
    "from kimi_cpu.conversion import convert, native\n"
    "pack, log = native._pack, open(sys.argv[3], 'a', buffering=1)\n"
    "def slow(source, module, kind, order):\n"
    "    log.write(f'{module} {order[0]} {kind} {len(order)}\\n')\n"
    "    time.sleep(0.002)\n"
    "    return pack(source, module, kind, order)\n"
    "native._pack = slow\n"
    "print('ready', flush=True)\n"
    "convert(sys.argv[1], sys.argv[2], resume=True, jobs=2)\n"
)


COMMAND = SLOW.replace(
    "convert(sys.argv[1], sys.argv[2], resume=True, jobs=2)", "from kimi_cpu.cli import main; main()"
)
COMMAND = COMMAND.replace("sys.argv[3]", "sys.argv.pop(1)")  # LOG, then a command line


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("in"))


@pytest.fixture(scope="module")
def whole(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "out.gguf"
    convert(checkpoint, path)
    return path.read_bytes()


def interrupt_after(count):
    """A progress callback that behaves as Ctrl-C does, after some parts."""
    seen = []

    def progress(*args):
        seen.append(args)
        if len(seen) == count:
            raise KeyboardInterrupt

    return progress


def test_killed_conversion_resumes_to_the_identical_file(checkpoint, whole, tmp_path):
    out = tmp_path / "out.gguf"
    rng = random.Random(0)
    for _ in range(4):
        command = [sys.executable, "-c", SLOW, checkpoint, out, os.devnull]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not out.exists()
    convert(checkpoint, out, resume=True)
    assert out.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == ["out.gguf"]


def test_resumed_conversion_packs_again_at_most_one_part_a_job(checkpoint, whole, tmp_path):
    out, log, jobs, kills = tmp_path / "out.gguf", tmp_path / "packed", 2, 3
    command = [sys.executable, "-c", SLOW, checkpoint, out, log]
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    packed = log.read_text().splitlines()
    assert out.read_bytes() == whole
    assert 0 <= len(packed) - len(set(packed)) <= jobs * kills


@pytest.mark.parametrize("count", [1, 20, 60])
def test_interrupted_conversion_packs_nothing_again(checkpoint, whole, tmp_path, monkeypatch, count):
    out, packed = tmp_path / "out.gguf", []
    pack = native._pack

    def counting(source, module, kind, order):
        packed.append((module, order[0], kind))
        return pack(source, module, kind, order)

    monkeypatch.setattr(native, "_pack", counting)
    with pytest.raises(Interrupted, match="--resume"):
        convert(checkpoint, out, jobs=2, progress=interrupt_after(count))
    assert not out.exists()
    convert(checkpoint, out, resume=True, jobs=2)
    assert out.read_bytes() == whole
    assert len(packed) == len(set(packed))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_conversion_that_is_told_to_end_says_how_it_goes_on(checkpoint, whole, tmp_path, number):
    out = tmp_path / "out.gguf"
    command = [sys.executable, "-c", COMMAND, os.devnull, "convert", checkpoint, "-o", out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    while "part 1 0" not in (read(tmp_path / "out.gguf.journal")):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 6
    assert told == f"kimi-cpu: Stopped by {number.name}; the same command with --resume goes on.\n"
    convert(checkpoint, out, resume=True)
    assert out.read_bytes() == whole


def read(path):
    return path.read_text() if path.exists() else ""


def test_conversion_without_resume_starts_afresh(checkpoint, whole, tmp_path):
    out = tmp_path / "out.gguf"
    with pytest.raises(Interrupted):
        convert(checkpoint, out, progress=interrupt_after(10))
    convert(checkpoint, out)
    assert out.read_bytes() == whole


def test_journal_of_another_conversion_does_not_count(checkpoint, tmp_path):
    out = tmp_path / "out.gguf"
    with pytest.raises(Interrupted):
        convert(checkpoint, out, progress=interrupt_after(40))
    convert(checkpoint, out, dense="bf16", resume=True)
    convert(checkpoint, tmp_path / "other.gguf", dense="bf16")
    assert out.read_bytes() == (tmp_path / "other.gguf").read_bytes()


@pytest.fixture
def partial(tmp_path):
    with OutputFile(tmp_path / "partial") as file:
        yield file


def test_after_a_reboot_only_what_was_synced_counts(tmp_path, partial, monkeypatch):
    path = tmp_path / "journal"
    with journal.Journal(path, "key", resume=False) as first:
        first.part(0, 0)
        first.sync(partial)
        first.part(0, 1)
        first.unit(0, bytes(32))
    with journal.Journal(path, "key", resume=True) as again:
        assert (again.done, again.hashes) == ({(0, 0), (0, 1)}, {0: bytes(32)})
    monkeypatch.setattr(journal, "_boot_id", lambda: "another boot")
    with journal.Journal(path, "key", resume=True) as rebooted:
        assert (rebooted.done, rebooted.hashes) == ({(0, 0)}, {})


def test_what_a_reboot_lost_stays_lost_after_the_next_sync(tmp_path, partial, monkeypatch):
    path = tmp_path / "journal"
    with journal.Journal(path, "key", resume=False) as first:
        first.part(0, 0)
        first.sync(partial)
        first.part(9, 9)
    monkeypatch.setattr(journal, "_boot_id", lambda: "second boot")
    with journal.Journal(path, "key", resume=True) as second:
        second.part(0, 1)
        second.sync(partial)
        second.part(0, 2)
    with journal.Journal(path, "key", resume=True) as same_boot:
        assert same_boot.done == {(0, 0), (0, 1), (0, 2)}
    for boot in ("third boot", "fourth boot"):
        monkeypatch.setattr(journal, "_boot_id", lambda boot=boot: boot)
        with journal.Journal(path, "key", resume=True) as later:
            assert later.done == {(0, 0), (0, 1)}


def test_partial_file_that_was_cut_is_not_resumed(checkpoint, whole, tmp_path):
    out = tmp_path / "out.gguf"
    with pytest.raises(Interrupted):
        convert(checkpoint, out, progress=interrupt_after(40))
    os.truncate(tmp_path / "out.gguf.partial", 100_000)
    convert(checkpoint, out, resume=True)
    assert out.read_bytes() == whole


def test_line_that_was_cut_short_does_not_count(tmp_path):
    path = tmp_path / "journal"
    first = journal.Journal(path, "key", resume=False)
    first.part(3, 4)
    first.close()
    with path.open("a") as file:
        file.write("part 5 6")
    again = journal.Journal(path, "key", resume=True)
    again.part(7, 8)
    again.close()
    last = journal.Journal(path, "key", resume=True)
    last.close()
    assert last.done == {(3, 4), (7, 8)}
