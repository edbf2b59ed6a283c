"""kimi-cpu plan --hosts: what is asked, what is shown, and what is drawn."""

import json
from xml.etree import ElementTree

import pytest

from tests import tiny

QUICK = ("--prompt-tokens", 32, "--answer-tokens", 16)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A configuration alone."""
    return tiny.make(tmp_path_factory.mktemp("plan")) / "config.json"


@pytest.mark.parametrize(
    ("option", "value"), [("--network", "1Gb"), ("--latency", "1ms"), ("--disk", "2"), ("--picture", "a.svg")]
)
def test_options_of_hosts_want_hosts(kimi_cpu, config, option, value):
    done = kimi_cpu("plan", config, option, value)
    assert done.code == 2 and option in done.err and "--hosts" in done.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--network", "10GB"), ("--network", "10"), ("--network", "0Gb"), ("--latency", "1 hour"), ("--latency", "-1ms")],
)
def test_what_is_no_quantity_is_a_usage_error_with_an_example(kimi_cpu, config, option, value):
    done = kimi_cpu("plan", config, "--hosts", 2, option, value)
    assert done.code == 2 and repr(value) in done.err and "write it as" in done.err


def test_ways_are_shown_and_the_best_is_named(kimi_cpu, config):
    arguments = ("plan", config, "--hosts", 2, "--memory", "1GB", *QUICK)
    shown, figures = kimi_cpu(*arguments), json.loads(kimi_cpu(*arguments, "--json").out)
    assert shown.code == 0
    ways, best = figures["hosts"]["ways"], figures["hosts"]["best"]
    assert [way["stages"] * way["replicas"] for way in ways] == [2] * len(ways)
    marked = [line for line in shown.out.splitlines() if line.endswith("best")]
    assert len(marked) == 1 and marked[0].split()[:2] == [str(ways[best]["replicas"]), str(ways[best]["stages"])]
    assert f"{ways[best]['in_flight']} requests at once" in shown.out


def test_waiting_is_shown_where_requests_come_by_themselves(kimi_cpu, config):
    done = kimi_cpu("plan", config, "--hosts", 1, "--memory", "1GB", *QUICK, "--per-minute", 60)
    assert done.code == 0 and "60 a minute" in done.out and "answered in" in done.out


def test_picture_is_drawn_in_place_of_another_and_of_nothing_else(kimi_cpu, config, home):
    for _ in range(2):
        done = kimi_cpu("plan", config, "--hosts", 2, "--memory", "1GB", *QUICK, "--picture", home / "a.svg")
        assert done.code == 0
    assert ElementTree.parse(home / "a.svg").getroot().tag.endswith("svg")
    (home / "b.txt").write_text("mine")
    done = kimi_cpu("plan", config, "--hosts", 2, "--memory", "1GB", *QUICK, "--picture", home / "b.txt")
    assert done.code == 1 and "b.txt" in done.err and (home / "b.txt").read_text() == "mine"


def test_hosts_without_room_are_exit_code_4(kimi_cpu, config):
    done = kimi_cpu("plan", config, "--hosts", 2, "--memory", "1KiB", *QUICK)
    assert done.code == 4 and "no room" in done.err and "--memory" in done.err and done.out == ""
