"""Ways in which hosts share the work of a small model, of which what is best can be said beforehand."""

from dataclasses import replace
from functools import cache

import pytest

from kimi_cpu.plan import Cluster, Host, Load, Model, Network, Proposal, propose
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


@cache
def proposal_for(hosts: Cluster, load: Load = LOAD) -> Proposal:
    """What is proposed where there is a way; the same for all tests that ask the same."""
    proposal = propose(MODEL, hosts, load)
    assert proposal is not None
    return proposal


def test_hosts_that_have_room_for_the_model_are_replicas():
    proposal = proposal_for(cluster(4, LARGE))
    best = proposal.best
    assert (best.num_replicas, best.num_stages, best.resident) == (4, 1, 1.0)
    assert best.token_s == pytest.approx(8 * (2 / 100 + 0.2 / 2000), rel=0.05)


def test_hosts_that_have_room_for_half_of_it_are_stages_of_a_pipeline():
    proposal = proposal_for(cluster(4, SMALL))
    alone, half, *_ = proposal.ways
    assert (alone.num_replicas, alone.num_stages) == (4, 1) and 0.3 < alone.resident < 0.6
    assert (half.num_replicas, half.num_stages, half.resident) == (2, 2, 1.0)
    assert proposal.best is half and half.rate > 2 * alone.rate
    assert [len(layers) for layers in half.layers] == [4, 4]


def test_a_token_alone_takes_its_way_through_all_stages():
    proposal, whole_s = proposal_for(cluster(2, SMALL, latency_s=0.05)), 8 * (2 / 100 + 0.2 / 2000)
    assert proposal.ways[-1].token_s == pytest.approx(whole_s + 2 * 0.05, rel=0.05)


def test_a_slow_network_makes_fewer_tokens():
    fast, slow = (proposal_for(cluster(2, SMALL, rate)) for rate in (1e9, 1e6))
    assert slow.ways[-1].rate < 0.5 * fast.ways[-1].rate


def test_twice_the_hosts_make_at_least_twice_the_tokens():
    fewer, more = (proposal_for(cluster(hosts, SMALL)).best.rate for hosts in (2, 4))
    assert more >= 1.9 * fewer


def test_hosts_without_room_have_no_way():
    assert propose(MODEL, cluster(2, SMALL._replace(memory=3 * GB)), LOAD) is None


def test_few_requests_are_answered_as_if_each_were_alone():
    proposal = proposal_for(cluster(4, SMALL), replace(LOAD, per_s=1e-4))
    best, served = proposal.best, proposal.best.served
    assert served is not None and served.wait_s == 0
    assert served.answer_s == pytest.approx(best.first_s + 127 * best.token_s, rel=0.1)
    assert served.answer_s == min(way.served.answer_s for way in proposal.ways if way.served is not None)


def test_more_requests_than_can_be_answered_wait_ever_longer():
    proposal = proposal_for(cluster(2, SMALL), replace(LOAD, per_s=10.0))
    assert all(way.served is None for way in proposal.ways)
    assert proposal.best.rate == max(way.rate for way in proposal.ways)


def test_requests_wait_the_longer_the_more_come():
    waits, rate = [], proposal_for(cluster(1, LARGE)).best.rate
    for share in (0.2, 0.5, 0.8):
        served = proposal_for(cluster(1, LARGE), replace(LOAD, per_s=share * rate / LOAD.generated)).best.served
        assert served is not None
        waits.append(served.answer_s)
    assert waits == sorted(waits)


def test_a_lost_host_is_away_until_it_is_noticed_and_has_read_its_part():
    proposal = proposal_for(cluster(2, SMALL))
    assert proposal.best.num_stages == 2
    assert proposal.loss.away_s == pytest.approx(NOTICED_S + 36 / 2)
    assert proposal.loss.again_s > 0


def test_the_same_question_has_the_same_answer():
    again = propose(MODEL, cluster(2, SMALL), LOAD)
    assert again is not None and again.as_dict() == proposal_for(cluster(2, SMALL)).as_dict()
