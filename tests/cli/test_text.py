"""Text that comes from files and pipes: a byte order mark is no part of it, and UTF-16 is told by name."""

import codecs
import json

import pytest

MARK = codecs.BOM_UTF8


@pytest.fixture
def tokens(kimi_cpu, tiny_file):
    """Ids of a text that a file or a pipe holds."""

    def of(*options, stdin=""):
        return json.loads(kimi_cpu("tokenize", "-m", tiny_file, *options, "--json", stdin=stdin).out)

    return of


def test_a_byte_order_mark_is_no_part_of_a_prompt(tokens, tmp_path):
    (tmp_path / "marked").write_bytes(MARK + b"abc")
    assert (
        tokens("abc")
        == tokens("-f", tmp_path / "marked")
        == tokens(stdin="\ufeffabc")
        == tokens("-", stdin="\ufeffabc")
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_told_by_name(kimi_cpu, tiny_file, home, encoding):
    (home / "prompt").write_bytes("Why is the sky blue?".encode(encoding))
    done = kimi_cpu("run", "-m", tiny_file, "-f", home / "prompt")
    assert done.code == 2 and "text in UTF-16" in done.err and "iconv" in done.err and done.err.count("\n") == 1
    (home / "config" / "kimi-cpu").mkdir(parents=True)
    (home / "config" / "kimi-cpu" / "config.toml").write_bytes("temp = 0".encode(encoding))
    done = kimi_cpu("run", "-m", tiny_file, "abc")
    assert done.code == 1 and "config.toml" in done.err and "text in UTF-16" in done.err and done.err.count("\n") == 1


def test_a_byte_order_mark_is_no_part_of_the_settings(kimi_cpu, tiny_file, home):
    (home / "config" / "kimi-cpu").mkdir(parents=True)
    (home / "config" / "kimi-cpu" / "config.toml").write_bytes(MARK + b"max-tokens = 3\n")
    done = kimi_cpu("run", "-m", tiny_file, "Hi", "--ignore-eos")
    assert done.code == 0 and "answer 3 tokens" in done.err


def test_a_byte_order_mark_is_no_part_of_a_conversation(kimi_cpu, tiny_file, home):
    (home / "note").write_bytes(MARK + b"a note")
    options = ("-m", tiny_file, "-n", 3, "-c", 2048, "--session", home / "talk")
    assert kimi_cpu("chat", *options, stdin="\ufeffone\n").code == 0
    (home / "talk.json").write_bytes(MARK + (home / "talk.json").read_bytes())
    assert kimi_cpu("chat", *options, stdin=f"/read {home / 'note'}\ntwo\n").code == 0
    asked = [m["content"] for m in json.loads((home / "talk.json").read_text()) if m["role"] == "user"]
    assert asked == ["one", "note:\n```\na note\n```\n\ntwo"]


def test_what_is_piped_to_a_conversation_must_be_text(kimi_cpu, tiny_file):
    for sent, told in (("Hello\n".encode("utf-16"), "text in UTF-16"), (b"caf\xe9\n", "no text in UTF-8 (byte 3)")):
        done = kimi_cpu("chat", "-m", tiny_file, stdin=sent)
        assert done.code == 1 and told in done.err and done.err.count("\n") == 1
