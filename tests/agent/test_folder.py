"""Tools on files: they do what they say, and nothing outside of their folder."""

import os

import pytest

from kimi_cpu.agent.builtin import folder_tools


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("one\ntwo\nThree two\n")
    (folder / "sub" / "b.txt").write_text("TWO\n")
    (folder / "data").write_bytes(b"\xff\0two")
    (tmp_path / "secret.txt").write_text("secret two")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "out").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def use(folder):
    tools = {tool.name: tool for tool in folder_tools(folder)}
    return lambda name, **arguments: tools[name].call(arguments, "")


def test_files_are_listed_read_and_searched(use):
    assert use("list_files") == "a.txt (18)\ndata (5)\nsub/b.txt (4)"
    assert use("list_files", path="sub") == "b.txt (4)"
    assert use("read_file", path="a.txt") == "one\ntwo\nThree two\n"
    assert use("read_file", path="./a.txt", first_line=2, num_lines=1) == "two\n"
    assert use("search_files", text="two") == "a.txt:2: two\na.txt:3: Three two\nsub/b.txt:1: TWO"
    assert use("search_files", text="two", path="sub") == "sub/b.txt:1: TWO"
    assert use("search_files", text="nine") == "The text is in no file."


def test_files_are_written_and_edited_whole(use, folder):
    os.chmod(folder / "a.txt", 0o755)
    use("write_file", path="new/deep/c.txt", content="c")
    use("edit_file", path="a.txt", old="Three", new="3")
    assert (folder / "new" / "deep" / "c.txt").read_text() == "c"
    assert (folder / "a.txt").read_text() == "one\ntwo\n3 two\n" and (folder / "a.txt").stat().st_mode & 0o777 == 0o755
    with pytest.raises(ValueError, match="occurs 2 times"):
        use("edit_file", path="a.txt", old="two", new="")
    with pytest.raises(OSError):
        use("write_file", path="sub", content="")
    assert not list(folder.rglob("*partial"))


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "link", "out/secret.txt", "sub/../../secret.txt"])
def test_nothing_outside_of_the_folder_is_reached(use, folder, path):
    for name, more in (("read_file", {}), ("edit_file", {"old": "secret", "new": "x"})):
        with pytest.raises((OSError, ValueError)):
            use(name, path=path, **more)
    if path != "link":
        with pytest.raises((OSError, ValueError)):
            use("write_file", path=path, content="x")
    assert (folder.parent / "secret.txt").read_text() == "secret two"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["folder", "secret.txt"]


def test_link_is_replaced_and_not_followed(use, folder):
    use("write_file", path="link", content="mine")
    assert not (folder / "link").is_symlink() and (folder.parent / "secret.txt").read_text() == "secret two"


def test_what_is_no_text_file_is_refused_at_once(use):
    for path in ("pipe", "sub", "data", ".", "none"):
        with pytest.raises((OSError, ValueError)):
            use("read_file", path=path)


def test_writing_needs_consent_and_reading_does_not(folder, tmp_path):
    needs = {tool.name for tool in folder_tools(folder) if tool.needs_consent}
    assert needs == {"write_file", "edit_file"}
    assert all(tool.read_only != tool.needs_consent for tool in folder_tools(folder))
    with pytest.raises(OSError):
        folder_tools(tmp_path / "none")
