"""Outputs: where a name leads, what may be written there, and files that are the old one or the new one."""

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from kimi_cpu.errors import ConfigError
from kimi_cpu.files import check_replaceable, lock, open_output, output_path, private_directory, replacing, reserve


@pytest.fixture
def umask():
    """Sets the umask for one test."""
    before = os.umask(0)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ValueError), replacing(path) as file:
        file.write(b"ne")
        raise ValueError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_disk_that_takes_no_more_is_told_with_the_files_name(tmp_path):
    """A limit on the size of files stands in for the disk."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError) as caught, replacing(path) as file:
            file.write(bytes(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_written_over(tmp_path):
    path = tmp_path / "file"
    path.with_name("file.partial").write_bytes(b"much more than the next one writes")
    with replacing(path, private=True) as file:
        file.write(b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"first")
        with pytest.raises(ConfigError, match="another process"), replacing(path):
            pass
    assert path.read_bytes() == b"first"


def test_link_stays_and_the_file_lands_where_it_points(tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to("big/file")  # which is not there yet
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
        assert not list(tmp_path.glob("*.partial"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "second").is_symlink()
    assert (tmp_path / "big" / "file").read_bytes() == b"new"


def make_fifo(folder):
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def make_socket(folder):
    os.mknod(folder / "socket", stat.S_IFSOCK | 0o600)
    return folder / "socket"


def make_link_to_null(folder):
    (folder / "null").symlink_to("/dev/null")
    return folder / "null"


def make_link_to_stdout(folder):
    (folder / "stdout").symlink_to("/dev/stdout")
    return folder / "stdout"


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: Path("/dev/null"),
        lambda folder: Path("/dev/full"),
        lambda folder: Path("/dev/stdout"),
        lambda folder: Path("/dev/fd/1"),
        lambda folder: Path("/proc/self/fd/1"),
        lambda folder: Path("-"),
        make_fifo,
        make_socket,
        make_link_to_null,
        make_link_to_stdout,
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, place):
    """Only the name is looked at: a test must not open this machine's devices to write."""
    with pytest.raises(ConfigError, match="no regular file; name one"):
        output_path(place(tmp_path))


@pytest.mark.parametrize("name", ["", ".", "..", "folder", "folder/", "to_folder"])
def test_directory_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "to_folder").symlink_to("folder")
    with pytest.raises(ConfigError, match="is a directory; name a file"):
        output_path(Path(name))


def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        output_path(tmp_path / "none" / "file")
    assert caught.value.filename == str(tmp_path / "none")


def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:
        output_path(tmp_path / "a")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("name", ["in", "hard", "soft", "out.partial", "out.journal"])
def test_input_is_never_the_output_nor_what_stands_beside_it(tmp_path, name):
    source = tmp_path / "in"
    source.write_bytes(b"precious")
    if name == "soft":
        (tmp_path / name).symlink_to("in")
    elif name != "in":
        os.link(source, tmp_path / name)
    output = tmp_path / name.removesuffix(".partial").removesuffix(".journal")
    with pytest.raises(ConfigError, match="is an input"):
        output_path(output, [source])


@pytest.mark.parametrize("ending", [".partial", ".journal"])
def test_link_in_the_place_of_what_stands_beside_an_output_is_not_followed(tmp_path, ending):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / f"out{ending}").symlink_to("precious")
    with pytest.raises(ConfigError, match="no regular file"), replacing(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_only_files_of_the_kind_are_replaced_and_only_when_that_is_asked_for(tmp_path):
    path = tmp_path / "file"

    def check(force):
        check_replaceable(path, "song", lambda p: p.read_bytes().startswith(b"la"), force)

    check(force=False)
    path.touch()
    check(force=False)
    path.write_bytes(b"la la")
    check(force=True)
    with pytest.raises(ConfigError, match="exists; --force replaces it"):
        check(force=False)
    path.write_bytes(b"notes")
    for force in (False, True):
        with pytest.raises(ConfigError, match="is no song, so it is never replaced"):
            check(force)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277, 0o777])
def test_private_files_and_directories_are_their_owners_whatever_the_umask(tmp_path, umask, mask):
    umask(mask)
    with replacing(private_directory(tmp_path / "a" / "b") / "file", private=True) as file:
        file.write(b"secret")
    os.close(open_output(tmp_path / "a" / "open", private=True))
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/file", "a/open")] == [0o700, 0o700, 0o600, 0o600]


def test_mode_of_a_directory_that_is_there_does_not_change(tmp_path):
    (tmp_path / "a").mkdir(mode=0o755)
    private_directory(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o755, 0o700)


def test_directory_is_not_made_where_something_else_is(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FileExistsError):
        private_directory(tmp_path / "fifo")


def test_reserved_space_is_taken(tmp_path):
    descriptor = open_output(tmp_path / "file")
    try:
        reserve(descriptor, 1 << 20)
        assert os.fstat(descriptor).st_size == 1 << 20
        assert os.fstat(descriptor).st_blocks * 512 >= 1 << 20
    except OSError as e:
        assert e.errno == errno.ENOSPC
    finally:
        os.close(descriptor)


def test_lock_keeps_others_away_until_it_is_closed(tmp_path):
    first, second = open_output(tmp_path / "file"), open_output(tmp_path / "file")
    lock(first, tmp_path / "file")
    with pytest.raises(ConfigError, match="another process"):
        lock(second, tmp_path / "file")
    os.close(first)
    lock(second, tmp_path / "file")
    os.close(second)
