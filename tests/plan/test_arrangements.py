"""Ways in which hosts share the work of a small model, of which what is best can be said beforehand."""

from dataclasses import replace
from itertools import pairwise

import pytest

from kimi_cpu.plan import Cluster, Host, Load, Model, Network, propose
from kimi_cpu.plan.arrangements import NOTICED_S
from kimi_cpu.plan.layers import Layer

GB = 10**9
LAYER = Layer(1, dense=GB, experts=8 * GB, macs=10**8, routed_macs=10**8)
MODEL = Model(  # 72 GB; a token reads 2 GB of each layer
    layers=(LAYER,) * 8,
    num_experts=64,
    num_experts_per_tok=8,
    row_bytes=1 << 14,
    cache_token=1000.0,
    absorbed=1e5,
    expanded=1e5,
    rebuild=10**6,
)
LARGE, SMALL = Host(100 * GB, 100.0, 2000.0, 2.0), Host(44 * GB, 100.0, 2000.0, 2.0)
LOAD = Load(256, 128)


def cluster(num_hosts: int, host: Host, rate: float = GB, latency_s: float = 1e-4) -> Cluster:
    return Cluster(num_hosts, host, Network(latency_s, rate))


def test_hosts_that_have_room_for_the_model_are_replicas():
    proposal = propose(MODEL, cluster(4, LARGE), LOAD)
    assert proposal is not None
    best = proposal.best
    assert (best.num_replicas, best.num_stages, best.resident) == (4, 1, 1.0)
    assert best.token_s == pytest.approx(8 * (2 / 100 + 0.2 / 2000), rel=0.05)


def test_hosts_that_have_room_for_half_of_it_are_stages_of_a_pipeline():
    proposal = propose(MODEL, cluster(4, SMALL), LOAD)
    assert proposal is not None
    alone, half, *_ = proposal.ways
    assert (alone.num_replicas, alone.num_stages) == (4, 1) and 0.3 < alone.resident < 0.6
    assert (half.num_replicas, half.num_stages, half.resident) == (2, 2, 1.0)
    assert proposal.best is half and half.rate > 2 * alone.rate
    assert [len(layers) for layers in half.layers] == [4, 4]


def test_a_token_alone_takes_its_way_through_all_stages():
    one, two = (propose(MODEL, cluster(hosts, SMALL, latency_s=0.05), LOAD) for hosts in (1, 2))
    assert one is not None and two is not None
    whole_s = 8 * (2 / 100 + 0.2 / 2000)
    assert two.ways[-1].token_s == pytest.approx(whole_s + 2 * 0.05, rel=0.05)


def test_a_slow_network_makes_fewer_tokens():
    fast, slow = (propose(MODEL, cluster(2, SMALL, rate), LOAD) for rate in (1e9, 1e6))
    assert fast is not None and slow is not None
    assert slow.ways[-1].rate < 0.5 * fast.ways[-1].rate


def test_twice_the_hosts_make_at_least_twice_the_tokens():
    rates = []
    for hosts in (2, 4):
        proposal = propose(MODEL, cluster(hosts, SMALL), LOAD)
        assert proposal is not None
        rates.append(proposal.best.rate)
    assert all(more >= 1.9 * fewer for fewer, more in pairwise(rates))


def test_hosts_without_room_have_no_way():
    assert propose(MODEL, cluster(2, SMALL._replace(memory=3 * GB)), LOAD) is None


def test_few_requests_are_answered_as_if_each_were_alone():
    proposal = propose(MODEL, cluster(4, SMALL), replace(LOAD, per_s=1e-4))
    assert proposal is not None
    best, served = proposal.best, proposal.best.served
    assert served is not None and served.wait_s == 0
    assert served.answer_s == pytest.approx(best.first_s + 127 * best.token_s, rel=0.1)
    assert served.answer_s == min(way.served.answer_s for way in proposal.ways if way.served is not None)


def test_more_requests_than_can_be_answered_wait_ever_longer():
    proposal = propose(MODEL, cluster(2, SMALL), replace(LOAD, per_s=10.0))
    assert proposal is not None
    assert all(way.served is None for way in proposal.ways)
    assert proposal.best.rate == max(way.rate for way in proposal.ways)


def test_requests_wait_the_longer_the_more_come():
    waits = []
    for share in (0.2, 0.5, 0.8):
        busy = propose(MODEL, cluster(1, LARGE), LOAD)
        assert busy is not None
        served = propose(MODEL, cluster(1, LARGE), replace(LOAD, per_s=share * busy.best.rate / LOAD.generated))
        assert served is not None and served.best.served is not None
        waits.append(served.best.served.answer_s)
    assert waits == sorted(waits)


def test_a_lost_host_is_away_until_it_is_noticed_and_has_read_its_part():
    proposal = propose(MODEL, cluster(2, SMALL), LOAD)
    assert proposal is not None
    assert proposal.best.num_stages == 2
    assert proposal.loss.away_s == pytest.approx(NOTICED_S + 36 / 2)
    assert proposal.loss.again_s > 0


def test_the_same_question_has_the_same_answer():
    first, second = (propose(MODEL, cluster(2, SMALL), LOAD) for _ in range(2))
    assert first is not None and second is not None
    assert first.as_dict() == second.as_dict()
