"""Tools of the command line: what is offered, and what is allowed."""

import pytest

from kimi_cpu.agent.consent import Consent
from kimi_cpu.agent.offer import offered_tools
from kimi_cpu.errors import ConfigError


def names(tmp_path, *allowed, ask=False, modules=(), files=True, search=None):
    tools = offered_tools(modules, tmp_path if files else None, search, None, Consent(allowed, ask), lambda text: None)
    return [tool.name for tool in tools]


HARMLESS = ["get_date", "calculator", "list_files", "read_file", "search_files"]


def test_tools_that_act_are_offered_only_where_they_may(tmp_path):
    assert names(tmp_path) == HARMLESS
    assert names(tmp_path, "edit_file", "sh*") == [*HARMLESS, "edit_file", "shell"]
    assert (
        names(tmp_path, "all") == names(tmp_path, ask=True) == [*HARMLESS, "write_file", "edit_file", "shell", "python"]
    )
    (tmp_path / "a.md").write_text("a")
    assert names(tmp_path, files=False, search=str(tmp_path)) == ["get_date", "calculator", "web_search", "fetch"]


def test_users_tool_takes_the_place_of_one_that_is_brought(tmp_path):
    (tmp_path / "mine.py").write_text("def get_date(): return 'never'")
    assert names(tmp_path, modules=[tmp_path / "mine.py"], files=False) == ["get_date", "calculator"]


def test_allowed_name_that_means_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--allow shel names no tool"):
        names(tmp_path, "shel")
    with pytest.raises(ConfigError, match="need --files"):
        names(tmp_path, "shell", files=False)


def test_servers_whose_tools_are_not_offered_are_told_of(tmp_path):
    path = tmp_path / "servers.json"
    path.write_text('{"mcpServers": {"notes": {"command": "notes"}}}')

    def told(*allowed, ask=False):
        said = []
        offered_tools((), tmp_path, None, path, Consent(allowed, ask), said.append)
        return any("not offered" in text for text in said)

    assert told() and told("edit_file")
    assert not any((told("notes__add"), told("all"), told("*"), told(ask=True)))
