"""What a conversion may write over: nothing of the source, nothing of others, and model files only when asked to."""

import errno
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from kimi_cpu import convert
from kimi_cpu.conversion import driver, journal, native
from kimi_cpu.errors import ConfigError, Interrupted, OutOfDisk
from kimi_cpu.modelfile import ModelFile
from tests import tiny


@pytest.fixture
def checkpoint(tmp_path):
    return tiny.make(tmp_path / "in")


@pytest.fixture
def standard(tmp_path, tiny_checkpoint):
    convert(tiny_checkpoint, tmp_path / "s.gguf", layout="standard")
    return tmp_path / "s.gguf"


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def link_hard(folder, file):
    os.link(file, folder / "hard")
    return folder / "hard"


def link_soft(folder, file):
    (folder / "soft").symlink_to(file)
    return folder / "soft"


@pytest.mark.parametrize("name", [lambda folder, file: file, link_hard, link_soft])
@pytest.mark.parametrize("force", [False, True])
def test_gguf_source_is_never_its_own_output(standard, tmp_path, name, force):
    out, before = name(tmp_path, standard), contents(tmp_path)
    with pytest.raises(ConfigError, match="is an input"):
        convert(standard, out, force=force)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "notes.txt"])
@pytest.mark.parametrize("link", [lambda folder, file: file, link_hard, link_soft])
def test_no_file_in_the_directory_of_the_source_is_the_output(checkpoint, tmp_path, name, link):
    (checkpoint / "notes.txt").write_text("mine")
    file = next(iter(checkpoint.glob("*.safetensors"))) if name.startswith("model") else checkpoint / name
    before = contents(checkpoint)
    with pytest.raises(ConfigError, match="is an input"):
        convert(checkpoint, link(tmp_path, file), force=True)
    assert contents(checkpoint) == before


def test_source_is_not_what_stands_beside_the_output(standard, tmp_path):
    source = standard.rename(tmp_path / "k2.gguf.partial")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="is an input"):
        convert(source, tmp_path / "k2.gguf")
    assert contents(tmp_path) == before


def test_output_may_stand_beside_the_files_of_the_source(checkpoint):
    convert(checkpoint, checkpoint / "k2.gguf")
    with ModelFile.open(checkpoint / "k2.gguf"):
        pass


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("content", [b"precious\n", b"GGUF", b"GGUF" + bytes(5000)])
def test_file_of_something_else_is_never_replaced(checkpoint, tmp_path, content, force):
    out = tmp_path / "precious.txt"
    out.write_bytes(content)
    with pytest.raises(ConfigError, match=r"precious\.txt is no whole model file of kimi-cpu, so it is never replaced"):
        convert(checkpoint, out, force=force)
    assert contents(tmp_path) == {"precious.txt": content}


@pytest.mark.parametrize("ending", [".partial", ".journal"])
def test_file_of_something_else_beside_the_output_stays(checkpoint, tmp_path, ending):
    (tmp_path / f"k2.gguf{ending}").write_bytes(b"precious")
    with pytest.raises(ConfigError, match="move it away"):
        convert(checkpoint, tmp_path / "k2.gguf", force=True)
    assert contents(tmp_path) == {f"k2.gguf{ending}": b"precious"}


@pytest.mark.parametrize("layout", ["native", "standard"])
def test_finished_conversion_is_named_as_such_and_replaced_by_force_alone(tiny_checkpoint, tmp_path, layout):
    out = tmp_path / "out.gguf"
    convert(tiny_checkpoint, out, layout=layout)
    before = out.stat()
    with pytest.raises(ConfigError, match=rf"out\.gguf is a finished conversion of {tiny_checkpoint} already; --force"):
        convert(tiny_checkpoint, out, layout=layout)
    assert os.path.samestat(out.stat(), before)
    convert(tiny_checkpoint, out, layout=layout, force=True)
    assert not os.path.samestat(out.stat(), before)


def test_model_of_another_source_is_replaced_by_force_alone(checkpoint, tiny_checkpoint, tmp_path):
    out = tmp_path / "out.gguf"
    convert(checkpoint, out)
    with pytest.raises(ConfigError, match="exists; --force"):
        convert(tiny_checkpoint, out)
    convert(tiny_checkpoint, out, force=True)


def test_resuming_what_is_finished_does_nothing(checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "out.gguf"
    convert(checkpoint, out)
    (tmp_path / "out.gguf.journal").write_text("kimi-cpu conversion 00\n")  # killed after its last write
    before = out.stat()
    monkeypatch.setattr(native, "_pack", None)
    assert any("finished before" in warning for warning in convert(checkpoint, out, resume=True))
    assert os.path.samestat(out.stat(), before) and sorted(contents(tmp_path)) == ["out.gguf"]
    with pytest.raises(ConfigError, match="finished conversion"):
        convert(checkpoint, out, resume=True, dense="bf16")


@pytest.mark.parametrize("code", [errno.EFBIG, errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EDQUOT])
def test_disk_that_fails_leaves_what_was_done_and_exit_code_4(checkpoint, tmp_path, monkeypatch, code):
    out, whole, left, write = tmp_path / "out.gguf", tmp_path / "whole.gguf", [30], driver.OutputFile.write
    convert(checkpoint, whole)

    def failing(self, offset, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(code, os.strerror(code))
        write(self, offset, data)

    monkeypatch.setattr(driver.OutputFile, "write", failing)
    with pytest.raises(OutOfDisk, match=rf"{re.escape(str(out))}: .*--resume"):
        convert(checkpoint, out)
    monkeypatch.undo()
    assert (tmp_path / "out.gguf.journal").read_text().count("\n") > 20
    convert(checkpoint, out, resume=True)
    assert out.read_bytes() == whole.read_bytes()


def test_what_a_failed_sync_may_have_lost_is_packed_again(checkpoint, tmp_path, monkeypatch):
    out, packed = tmp_path / "out.gguf", []
    syncs = [None, errno.EIO]  # the first one succeeds

    def sync(descriptor):
        if (code := syncs.pop(0) if syncs else None) is not None:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(driver, "SYNC_BYTES", 30_000)
    monkeypatch.setattr(journal.os, "fdatasync", sync)
    with pytest.raises(OutOfDisk, match="Input/output error"):
        convert(checkpoint, out, jobs=1)
    lines = (tmp_path / "out.gguf.journal").read_text().splitlines()
    assert lines[-1] == f"synced {len(lines) - 1}" and any(line.startswith("part") for line in lines)
    pack = native._pack

    def counting(source, module, kind, order):
        packed.append(module)
        return pack(source, module, kind, order)

    monkeypatch.setattr(native, "_pack", counting)
    convert(checkpoint, out, resume=True, jobs=1)
    num_resumed = len(packed)
    convert(checkpoint, tmp_path / "whole.gguf", jobs=1)
    assert out.read_bytes() == (tmp_path / "whole.gguf").read_bytes()
    assert 0 < num_resumed < len(packed) - num_resumed


def test_limit_on_the_size_of_files_is_noticed_before_anything_is_packed(checkpoint, tmp_path):
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from kimi_cpu.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "convert", checkpoint, "-o", tmp_path / "out.gguf"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "out.gguf: the file system, or a limit (ulimit -f)" in done.stderr
    assert contents(tmp_path) == {}


def test_space_is_asked_for_before_the_parts_are_planned(checkpoint, tmp_path, monkeypatch):
    def never(self):
        raise AssertionError

    monkeypatch.setattr(driver._Conversion, "_key", never)
    monkeypatch.setattr(driver.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OutOfDisk, match="are needed and 0.0 GB are free"):
        convert(checkpoint, tmp_path / "out.gguf")
    monkeypatch.undo()
    monkeypatch.setattr(driver._Conversion, "_key", never)

    def full(descriptor, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal, "reserve", full)
    with pytest.raises(OutOfDisk, match="the disk is full"):
        convert(checkpoint, tmp_path / "out.gguf")
    assert contents(tmp_path) == {}


def test_conversion_that_was_interrupted_while_it_planned_goes_on(checkpoint, tmp_path, monkeypatch):
    """Its partial file is there, and nothing is in it."""

    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(driver._Conversion, "_key", stop)
    with pytest.raises(Interrupted):
        convert(checkpoint, tmp_path / "out.gguf")
    monkeypatch.undo()
    convert(checkpoint, tmp_path / "out.gguf", resume=True)
    convert(checkpoint, tmp_path / "other.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "other.gguf").read_bytes()


def test_whole_file_is_reserved_before_it_is_filled(checkpoint, tmp_path):
    def progress(*_):
        found = (tmp_path / "out.gguf.partial").stat()
        assert found.st_blocks * 512 >= found.st_size
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        convert(checkpoint, tmp_path / "out.gguf", progress=progress)


def test_link_stays_and_all_bytes_land_where_it_points(checkpoint, tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "k2.gguf").symlink_to("large/model.gguf")

    def progress(*_):
        assert (tmp_path / "large" / "model.gguf.partial").exists()

    convert(checkpoint, tmp_path / "k2.gguf", progress=progress)
    assert (tmp_path / "k2.gguf").is_symlink()
    assert sorted(contents(tmp_path / "large")) == ["model.gguf"]


@pytest.mark.parametrize("name", ["fifo", "to_null", "to_stdout", "-"])
def test_output_that_is_no_file_is_one_sentence_and_nothing_is_left(checkpoint, tmp_path, name):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to_null").symlink_to("/dev/null")
    (tmp_path / "to_stdout").symlink_to("/dev/stdout")
    out = name if name == "-" else tmp_path / name
    command = [sys.executable, "-m", "kimi_cpu", "convert", checkpoint, "-o", out]
    with (tmp_path / "stdout").open("w") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, f"kimi-cpu: {out} is no regular file; name one.\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fifo", "in", "stdout", "to_null", "to_stdout"]
    assert (tmp_path / "to_null").is_symlink() and (tmp_path / "to_stdout").is_symlink()


def test_pipe_as_a_source_is_refused_with_a_sentence(checkpoint, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    command = [sys.executable, "-m", "kimi_cpu", "convert", tmp_path / "fifo", "-o", tmp_path / "out.gguf"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5 and "fifo is no regular file" in done.stderr and done.stderr.count("\n") == 1


def test_command_replaces_with_force(checkpoint, tmp_path):
    command = [sys.executable, "-m", "kimi_cpu", "convert", checkpoint, "-o", tmp_path / "out.gguf"]
    assert subprocess.run(command).returncode == 0
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "finished conversion" in done.stderr
    assert subprocess.run([*command, "--force"]).returncode == 0
