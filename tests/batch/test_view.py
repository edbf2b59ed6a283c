"""The line that says how far a batch is."""

from dataclasses import replace

from kimi_cpu.batch import Progress
from kimi_cpu.batch.loop import Tally
from kimi_cpu.batch.model import Tokens
from kimi_cpu.batch.results import was_cut
from kimi_cpu.cli.batch import Rates


def progress(seconds, completed, generated, read=1000, failed=0):
    tally = Tally(completed, failed, Tokens(10 * completed, 5 * completed, generated), generated, 4, 8)
    return Progress(7, 0, tally, 100, read, 1000, seconds)


def test_line_tells_rates_of_the_last_minute_and_the_time_left():
    rates = Rates()
    for second in range(0, 200, 10):
        told = rates.sentence(progress(float(second), second // 10, second * second))
    assert told == (
        "26 of 100 requests, 1.0 tokens/s in, 310.0 out, 4 running, 50 % of the prompts cached, 0:12:20 left"
    )


def test_lines_that_are_not_read_yet_are_estimated():
    assert "10 of about 200 requests, 1 failed" in Rates().sentence(progress(1.0, 2, 9, read=500, failed=1))


def test_answers_that_were_cut_off_are_told_of():
    bodies = [
        {"choices": [{"finish_reason": "length", "message": {"content": None, "reasoning_content": "Hm"}}]},
        {"choices": [{"finish_reason": "stop", "message": {"content": "a"}}, {"finish_reason": "length", "text": "a"}]},
        {"choices": [{"finish_reason": "stop", "message": {"content": None}}]},
    ]
    assert [was_cut(body) for body in bodies] == [(True, True), (True, False), (False, False)]
    tally = replace(progress(1.0, 5, 9).tally, num_cut=2, num_cut_empty=1)
    told = Rates().sentence(replace(progress(1.0, 5, 9), tally=tally))
    assert "2 cut off" in told and "1 of them in their thinking" in told and "--think-budget" in told
