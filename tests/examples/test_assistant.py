"""The model's side of the desktop example, which needs no screen."""

from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "desktop"


@pytest.fixture
def assistant(tiny_file, tmp_path, monkeypatch):
    """Opens the assistant over the tiny model; at the end, all are closed."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from assistant import Assistant

    opened = []

    def call(**options):
        opened.append(Assistant(str(tiny_file), tmp_path / "folder" / "talk", **options))
        return opened[-1]

    yield call
    for one in opened:
        one.close()


def until(assistant, *kinds):
    """The value of the next event of these kinds."""
    while (event := assistant.events.get(timeout=300)).kind not in kinds:
        assert event.kind != "failed", event.value
    return event.value


def test_conversation_is_kept_from_one_start_to_the_next(assistant):
    one = assistant(max_tokens=5)
    assert until(one, "ready") == []
    one.ask("Hello")
    assert "5 tokens" in until(one, "ended")
    one.close()
    two = assistant(ignore_eos=True)
    assert [m["role"] for m in until(two, "ready")] == ["user", "assistant"]
    two.ask("More")
    until(two, "answer", "thinking")
    two.stop()
    assert until(two, "ended").startswith("cancelled")
    two.close()
    assert len(until(assistant(), "ready")) == 4


def test_foreign_file_is_told_of_and_stays(assistant, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "talk").write_text("a letter")
    assert "is not a session file" in until(assistant(), "failed")
    assert (tmp_path / "folder" / "talk").read_text() == "a letter"
