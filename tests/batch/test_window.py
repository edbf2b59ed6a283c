"""The order in which jobs start: neighbours share their beginnings, and nobody computes one that is being computed."""

from kimi_cpu.batch.source import LONG, Line, Prompts, Rejected, Window, num_common

from .test_source import job

A, B = "a" * 3 * LONG, "b" * 3 * LONG


def filled(prompts, **options):
    window = Window(iter(enumerate(map(job, prompts))), **options)
    while not window.is_empty and not window.has_jobs:
        window.fill()
    return window


def taken(window, computing=(), computed=(), elsewhere=()):
    entry = window.take(Prompts(computing, computed), elsewhere)
    return entry and entry[1].prefix


def test_jobs_with_a_common_beginning_follow_each_other():
    window = filled([A + "1", B + "1", "c", A + "2", B + "2"])
    assert [taken(window)[-2:] for _ in range(5)] == ["a1", "a2", "b1", "b2", "c"]
    assert window.take(Prompts()) is None and not window.has_jobs


def test_windows_are_given_out_one_after_the_other():
    window = filled(["b", "a", "d", "c"], max_jobs=2)
    order = []
    while not window.is_empty:
        window.fill()
        order.append(taken(window))
    assert [x for x in order if x] == ["a", "b", "c", "d"]


def test_second_of_two_waits_while_their_beginning_is_computed_and_another_goes_first():
    window = filled([A + "2", B])
    assert taken(window, [A + "1"]) == B
    assert taken(window, [A + "1"]) is None
    assert taken(window, [A + "3"], [A + "1"]) == A + "2"


def test_job_is_left_to_the_model_that_has_its_beginning():
    there = Prompts([A + "1"])
    window = filled([A + "2", B + "2", "c"])
    assert taken(window, elsewhere=[there]) == B + "2"
    assert taken(window, computed=[A[:-LONG]], elsewhere=[there]) == "c"
    assert taken(window, elsewhere=[there]) is None
    assert taken(window, computed=[A + "3"], elsewhere=[there]) == A + "2"


def test_short_common_beginning_is_not_waited_for():
    assert taken(filled(["you are helpful"]), ["you are harmless"]) == "you are helpful"


def test_what_cannot_be_run_comes_back_and_nothing_to_do_is_skipped():
    rejected = Rejected(b"k", None, None, Line(1, 1, 1, b""))
    window = Window(iter([None, (0, rejected), None, (1, job("a"))]))
    assert window.fill() == [(0, rejected)]
    assert taken(window) == "a"


def test_common_beginning_is_counted_exactly():
    for n in (0, 1, 2, 7, 8, 9):
        assert num_common("x" * n + "a", "x" * n + "b") == n
        assert num_common("x" * n, "x" * (n + 3)) == n
