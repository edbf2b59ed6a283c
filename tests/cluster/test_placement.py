"""Which engine a request goes to."""

from queue import SimpleQueue

from kimi_cpu.cluster.channel import SILENT_S
from kimi_cpu.cluster.placement import A_NEIGHBOUR, GRAIN, MOST_KNOWN, Known, grains
from kimi_cpu.cluster.replica import Replica
from kimi_cpu.cluster.replica_wire import Output
from kimi_cpu.cluster.replicas import Replicas
from kimi_cpu.engine import Request, Sampling

TALK = list(range(100 * GRAIN + 5))


def test_grains_are_equal_as_far_as_ids_are():
    other = [*TALK[: 3 * GRAIN], 7, *TALK[3 * GRAIN + 1 :]]
    assert len(grains(TALK)) == 100 and grains(TALK[: GRAIN - 1]) == []
    assert grains(TALK)[:3] == grains(other)[:3]
    assert not set(grains(TALK)[3:]) & set(grains(other)[3:])


def test_conversation_stays_where_it_was_until_too_many_are_there():
    here, elsewhere = Known(), Known()
    here.learn(grains(TALK))
    longer = [*TALK, *range(1000)]

    def stays(num_open):
        there = elsewhere.cost(len(longer), grains(longer), 0)
        return here.cost(len(longer), grains(longer), num_open) < there

    most = 100 * GRAIN // A_NEIGHBOUR
    assert stays(most) and not stays(most + 1)


def test_short_prompts_go_to_the_engine_that_has_less_to_do():
    here, elsewhere = Known(), Known()
    here.learn(grains(TALK[: 2 * GRAIN]))
    ids = TALK[: 3 * GRAIN]
    assert here.cost(len(ids), grains(ids), 0) < elsewhere.cost(len(ids), grains(ids), 0)
    assert here.cost(len(ids), grains(ids), 1) > elsewhere.cost(len(ids), grains(ids), 0)


def test_oldest_prompts_are_forgotten():
    known = Known()
    known.learn(grains(TALK))
    known.learn(range(MOST_KNOWN - 50))
    assert known.cost(len(TALK), grains(TALK), 0) == len(TALK)


class Unheard(Replica):
    """An engine of which nothing comes."""

    def connect(self, owner):
        pass

    def start(self, ticket, request, parent):
        self.started = ticket

    def abort(self, ticket):
        self.aborted = ticket


def two():
    """Engines behind which there are none."""
    replicas, made = Replicas(512), [Unheard(host, None, {"context": "512"}) for host in ("a", "b")]
    for replica in made:
        replicas.add(replica)
    return replicas, *made


def test_requests_of_an_engine_that_says_nothing_go_on_elsewhere_and_are_heard_from_there_alone():
    replicas, silent, other = two()
    request, outbox = Request([5], Sampling(), 9), SimpleQueue()
    replicas.submit(request, outbox)
    first = silent.started
    replicas.heard(silent, [Output(first, 7)])
    silent.heard_s -= SILENT_S
    replicas.silent(silent)
    assert (silent.num_open, other.num_open, silent.aborted) == (0, 1, first)
    replicas.heard(silent, [Output(first, 8)])
    replicas.heard(other, [Output(other.started, 9, "length")])
    assert request.output_ids == [7, 9] and [outbox.get().token_id for _ in range(outbox.qsize())] == [7, 9]
    assert other.num_open == 0


def test_requests_stay_where_no_other_engine_speaks():
    replicas, silent, other = two()
    replicas.submit(Request([5], Sampling(), 9), SimpleQueue())
    for replica in (silent, other):
        replica.heard_s -= SILENT_S
    replicas.silent(silent)
    assert (silent.num_open, other.num_open) == (1, 0)


def test_engine_that_has_said_nothing_for_long_gets_no_new_requests():
    replicas, silent, other = two()
    silent.heard_s -= SILENT_S
    for _ in range(2):
        replicas.submit(Request([5], Sampling(), 9), SimpleQueue())
    assert (silent.num_open, other.num_open) == (0, 2)
    other.heard_s -= SILENT_S
    replicas.submit(Request([5], Sampling(), 9), SimpleQueue())
    assert (silent.num_open, other.num_open) == (1, 2)


def test_engine_that_is_lost_while_it_joins_gets_no_requests():
    class Stillborn(Unheard):
        def connect(self, owner):
            self.is_lost = True
            owner.lost(self, "")

    replicas, one, other = two()
    lost = Stillborn("c", None, {"context": "512"})
    replicas.add(lost)
    for _ in range(6):
        replicas.submit(Request([5], Sampling(), 9), SimpleQueue())
    assert (lost.num_open, one.num_open, other.num_open) == (0, 3, 3)
