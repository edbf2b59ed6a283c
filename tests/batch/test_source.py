"""Lines of input: what becomes a job, and that no more than a line is in memory."""

from kimi_cpu.batch.results import key_of_id
from kimi_cpu.batch.source import COMPLETIONS, Job, Line, Rejected, read

from .fake import request, write


def job(prompt, custom_id=None):
    custom_id = custom_id or prompt[-20:]
    return Job(key_of_id(custom_id), custom_id, COMPLETIONS, {"prompt": prompt}, Line(1, 1, 1, b""), prompt, b"")


def test_lines_are_numbered_from_one_with_the_blank_ones_and_end_where_the_file_does(tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a"), "", "  ", request("b"), "{"])
    items = list(read(source))
    assert [(type(x), x.line.number) for x in items] == [(Job, 1), (Job, 4), (Rejected, 5)]
    assert items[-1].line.end == source.stat().st_size


def test_last_line_needs_no_newline_and_the_first_may_have_a_byte_order_mark(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text("\ufeff" + request("a") + "\n" + request("b"))
    assert [x.custom_id for x in read(source)] == ["a", "b"]


def test_prefix_of_a_chat_begins_with_its_tools_and_goes_on_with_its_messages(tmp_path):
    chat = "/v1/chat/completions"
    messages = [{"role": "system", "content": "S" * 50}, {"role": "user", "content": "1"}]
    lines = [
        request("a", url=chat, messages=messages, tools=[{"x": 1}]),
        request("b", url=chat, messages=[*messages[:1], {"role": "user", "content": "2"}], tools=[{"x": 1}]),
        request("c", url=chat, messages=messages, tools=[{"x": 2}]),
    ]
    a, b, c = (x.prefix for x in read(write(tmp_path / "in.jsonl", lines)))
    assert "S" * 50 in a[: a.rindex("1")] and a[:70] == b[:70] and a[:20] != c[:20]
