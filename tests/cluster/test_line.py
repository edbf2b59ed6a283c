"""A line holds so many bytes, and who brings more waits."""

import threading

from kimi_cpu.cluster.line import Line


def test_who_brings_more_waits_until_there_is_room():
    line = Line[str](10)
    line.put("a", 9)
    line.put("b", 100)  # there was room for some bytes
    third = threading.Thread(target=line.put, args=("c", 1), daemon=True)
    third.start()
    third.join(0.05)
    assert third.is_alive()
    assert line.get() == "a"
    third.join(0.05)
    assert third.is_alive()  # 100 bytes are there
    assert line.get() == "b"
    third.join(20)
    assert not third.is_alive() and line.get() == "c"


def test_closing_ends_both_sides():
    line = Line[str](1)
    line.put("a", 1)
    second = threading.Thread(target=line.put, args=("b", 1), daemon=True)
    second.start()
    line.close()
    second.join(20)
    assert not second.is_alive()
    line.put("c", 1)
    assert [line.get(), line.get()] == ["a", None]
