"""The simulated pipeline beside closed forms, and beside simpy, which simulates the same by other means."""

from itertools import repeat
from random import Random

import pytest
import simpy

from kimi_cpu.plan.pipeline import CHUNK, Network, Outage, Pipeline, Request
from kimi_cpu.plan.steps import Work

NO_NETWORK = Network(0.0, float("inf"))
ENDLESS = 10**9
CLOSE = 0.01


def generating(count: int):
    """Requests whose prompt is there, and that never end."""
    return [Request(0.0, 64, ENDLESS, computed=64)] * count


def steady(seconds: float):
    return lambda work: seconds


def rate(pipeline: Pipeline, depth: int, places: int, until_s: float) -> float:
    return pipeline.simulate(generating(places), depth, places, until_s).rate


def test_one_stage_gives_a_token_of_each_sequence_a_step():
    pipeline = Pipeline([steady(0.1)], NO_NETWORK, 1)
    run = pipeline.simulate(generating(16), 1, 16, 100.0)
    assert run.rate == pytest.approx(160, rel=CLOSE)
    assert run.token_s == pytest.approx(0.1) and run.occupancy == [pytest.approx(1)]


@pytest.mark.parametrize("num_stages", [1, 2, 3, 5])
@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_balanced_stages_are_busy_as_far_as_there_are_groups(num_stages, groups):
    pipeline = Pipeline([steady(0.1)] * num_stages, NO_NETWORK, 1)
    run = pipeline.simulate(generating(4 * groups), groups, 4 * groups, 400.0)
    share = min(1, groups / num_stages)
    assert run.rate == pytest.approx(4 / 0.1 * share, rel=CLOSE)
    assert run.occupancy == pytest.approx([share] * num_stages, rel=CLOSE)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 5])
def test_hops_lengthen_the_way_round(groups):
    pipeline = Pipeline([steady(0.1)] * 3, Network(0.02, 1000.0), row_bytes=10)
    round_s = 3 * 0.1 + 3 * 0.02 + 2 * 2 * 10 / 1000
    assert pipeline.alone_s(Work(2)) == pytest.approx(round_s)
    assert rate(pipeline, groups, 2 * groups, 400.0) == pytest.approx(2 * min(groups / round_s, 1 / 0.1), rel=CLOSE)


def test_slowest_stage_sets_the_pace():
    pipeline = Pipeline([steady(0.1), steady(0.25), steady(0.05)], NO_NETWORK, 1)
    run = pipeline.simulate(generating(4), 4, 4, 400.0)
    assert run.rate == pytest.approx(1 / 0.25, rel=CLOSE)
    assert run.occupancy == pytest.approx([0.4, 1.0, 0.2], rel=CLOSE)


def test_a_link_can_be_the_slowest():
    pipeline = Pipeline([steady(0.1)] * 2, Network(0.0, 20.0), row_bytes=10)
    assert rate(pipeline, 4, 4, 400.0) == pytest.approx(1 / 0.5, rel=CLOSE)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_waiting_before_one_server_is_that_of_m_d_1(load):
    """Pollaczek and Khinchine: with constant service s and Poisson arrivals, load * s / (2 * (1 - load))."""
    draw, at_s, requests, service_s = Random(1), 0.0, [], 1.0
    for _ in range(20_000):
        at_s += draw.expovariate(load / service_s)
        requests.append(Request(at_s, 1, 1))
    run = Pipeline([steady(service_s)], NO_NETWORK, 1).simulate(requests, 1, 1)
    assert len(run.answers) == len(requests)
    assert run.wait_s == pytest.approx(load * service_s / (2 * (1 - load)), rel=0.05)


def test_a_prompt_alone_keeps_stages_busy_with_its_pieces():
    """2 K pieces a step through K stages: the last one leaves after 3 K - 1 times of a stage."""
    pipeline = Pipeline([steady(1.0)] * 3, NO_NETWORK, 1)
    run = pipeline.simulate([Request(0.0, 6 * CHUNK, 1)], 4, 4)
    assert run.end_s == pytest.approx(8.0)
    assert run.occupancy == pytest.approx([6 / 8] * 3)


def test_work_adds_up_to_all_tokens_and_pairs():
    seen = []
    pipeline = Pipeline([lambda work: seen.append(work) or 0.1], NO_NETWORK, 1)
    pipeline.simulate([Request(0.0, 1300, 5), Request(0.0, 200, 9), Request(0.0, 700, 2, computed=600)], 1, 3)
    assert sum(work.prompt for work in seen) == 1300 + 200 + 100
    assert sum(work.decoding for work in seen) == 4 + 8 + 1
    assert sum(work.logits for work in seen) == 5 + 9 + 2
    assert max(work.prompt + work.decoding for work in seen) <= CHUNK
    pairs = 1300**2 / 2 + 200**2 / 2 + 100 * 600 + 100**2 / 2
    assert sum(work.prompt_pairs for work in seen) == pytest.approx(pairs, rel=CLOSE)
    assert sum(work.decoding_pairs for work in seen) == sum(
        prompt + n for prompt, generated in ((1300, 5), (200, 9), (700, 2)) for n in range(1, generated)
    )


def test_a_lost_host_costs_its_time_and_all_that_is_computed_again():
    pipeline = Pipeline([lambda work: 0.1 + 0.01 * work.prompt], NO_NETWORK, 1)
    whole = pipeline.simulate(generating(2), 1, 2, 100.0)
    lost = pipeline.simulate(generating(2), 1, 2, 100.0, Outage(50.05, 10.0))
    known = 2 * (64 + 500)  # ids that both have after 500 steps
    again_s = known * 0.01 + 0.1 * -(-known // CHUNK) - 0.1
    assert whole.tokens - lost.tokens == pytest.approx(2 * (10.05 + again_s) / 0.1, abs=4)
    assert not any(50.05 < span.begin_s < 60.05 for span in lost.stages[0])


def test_an_outage_loses_no_request():
    requests = [Request(0.3 * n, 100, 20) for n in range(30)]
    pipeline = Pipeline([steady(0.1), steady(0.2)], Network(0.01, 1e6), 4)
    run = pipeline.simulate(requests, 3, 6, outage=Outage(4.0, 5.0))
    assert len(run.answers) == 30 and run.tokens == 30 * 20


@pytest.mark.parametrize("seed", range(5))
def test_every_answer_ends_when_simpy_says(seed):
    """Requests of one token each through stages and links of any speed: first come, first served at each."""
    draw = Random(seed)
    num_stages = draw.randint(1, 5)
    seconds = [draw.uniform(0.1, 1.0) for _ in range(num_stages)]
    network = Network(draw.uniform(0, 0.5), draw.uniform(10, 100))
    requests, at_s = [], 0.0
    for _ in range(200):
        at_s += draw.expovariate(1.0)
        requests.append(Request(at_s, draw.randint(1, 9), 1))

    env = simpy.Environment()
    stages = [simpy.Resource(env) for _ in seconds]
    links = [simpy.Resource(env) for _ in seconds[1:]]
    ends = []

    def use(resource, time_s):
        with resource.request() as turn:
            yield turn
            yield env.timeout(time_s)

    def answer(request):
        yield env.timeout(request.at_s)
        if links:
            yield env.timeout(network.latency_s)
        for i, (stage, time_s) in enumerate(zip(stages, seconds, strict=True)):
            yield from use(stage, time_s * request.prompt)
            if i < len(links):
                yield from use(links[i], request.prompt * 7 / network.rate)
                yield env.timeout(network.latency_s)
        ends.append(env.now)

    for request in requests:
        env.process(answer(request))
    env.run()
    pipeline = Pipeline([lambda work, s=s: s * work.prompt for s in seconds], network, row_bytes=7)
    run = pipeline.simulate(requests, depth=ENDLESS, places=ENDLESS)
    assert [a.end_s for a in run.answers] == pytest.approx(ends)


def test_the_same_run_twice_is_the_same():
    pipeline = Pipeline([steady(0.1), steady(0.2)], Network(0.01, 1e6), 4)
    first, second = (pipeline.simulate(repeat(Request(0.0, 700, 20)), 3, 12, 60.0) for _ in range(2))
    assert first == second
