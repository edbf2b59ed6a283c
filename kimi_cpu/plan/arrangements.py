"""Ways to let a model run on several hosts alike: as replicas, each with all layers or as a pipeline of stages.

Each way is simulated with requests whose lengths are drawn around those that are asked about, always the same ones.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from random import Random

from .layers import GROUP
from .pipeline import CHUNK, Network, Outage, Pipeline, Request, Run
from .splitting import split
from .steps import Host, Model, Stage, Work, usable

SPREAD = 0.5  # requests are so much shorter or longer, at most
CLOSE = 0.95  # of the highest throughput: as good, with fewer requests at once, which are answered sooner
MOST = 128  # requests at once, of a replica
CACHE_SHARE = 8  # of a host's memory, the part for the cache where experts have to be read from disk
LONG_CHUNK = 4096  # tokens of a piece of prompts there
# How long a way is simulated: each place has two requests, and all together 64, but no more than so many steps come to
# stages; and at least ten times as long as a prompt takes alone.
LIVES, REQUESTS, VISITS, PROMPTS = 2, 64, 20_000, 10
TOO_MANY = 2  # times the stages that have room for all experts: more of them only wait for each other
ARRIVALS = 200  # requests, where they come by themselves
NOTICED_S = 60.0  # until a host is taken for lost


@dataclass(frozen=True)
class Cluster:
    """Hosts alike, and the network between them."""

    num_hosts: int
    host: Host
    network: Network


@dataclass(frozen=True)
class Load:
    """Requests: tokens of their prompts and of their answers, on average; per_s: how many come in a second, at random
    moments. None: as many as can be are always there."""

    prompt: int
    generated: int
    per_s: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the longest request."""
        return round((1 + SPREAD) * (self.prompt + self.generated))

    @property
    def half_way(self) -> int:
        """Tokens of a request, on average, while it generates."""
        return self.prompt + self.generated // 2


@dataclass(frozen=True)
class Arrangement:
    """A way to let a model run. layers: of each stage. in_flight: requests at once, of each replica. resident: share of
    the routed experts in memory, where it is least. busy: simulation of one replica with as many requests as it takes
    at once, always. first_s, token_s: of a request that is alone, until its first token, and for each after it.
    served: simulation of one replica with the requests that come; None: none come by themselves, or too many."""

    layers: list[range]
    num_replicas: int
    in_flight: int
    resident: float
    busy: Run
    first_s: float
    token_s: float
    served: Run | None

    @property
    def num_stages(self) -> int:
        """Hosts of a replica."""
        return len(self.layers)

    @property
    def rate(self) -> float:
        """Generated tokens a second, of all replicas."""
        return self.num_replicas * self.busy.rate

    def as_dict(self) -> dict[str, object]:
        """Its figures by name."""
        return {
            "stages": self.num_stages,
            "replicas": self.num_replicas,
            "layers": [len(layers) for layers in self.layers],
            "in_flight": self.in_flight,
            "resident": self.resident,
            "tokens_per_s": self.rate,
            "token_s": self.busy.token_s,
            "occupancy": self.busy.occupancy,
            "alone": {"first_s": self.first_s, "token_s": self.token_s},
            "served": None if self.served is None else {"wait_s": self.served.wait_s, "answer_s": self.served.answer_s},
        }


@dataclass(frozen=True)
class Loss:
    """A host of a replica is lost and comes back. away_s: until it has read its part of the file again. again_s: as
    much of the replica's work, besides, as is computed again."""

    away_s: float
    again_s: float


@dataclass(frozen=True)
class Proposal:
    """ways: all that use the hosts well and have room for the model, those with the fewest stages first. best: the one
    to take. loss: of a host of it."""

    ways: list[Arrangement]
    best: Arrangement
    loss: Loss

    def as_dict(self) -> dict[str, object]:
        """All figures by name."""
        return {
            "ways": [way.as_dict() for way in self.ways],
            "best": self.ways.index(self.best),
            "loss": asdict(self.loss),
        }


def propose(model: Model, cluster: Cluster, load: Load) -> Proposal | None:
    """Ways to answer a load with a cluster; None: it has no room for the model."""
    ways: list[Arrangement] = []
    for num_replicas in sorted({cluster.num_hosts // k for k in range(1, cluster.num_hosts + 1)}, reverse=True):
        num_stages = cluster.num_hosts // num_replicas
        enough = min((way.num_stages for way in ways if way.resident == 1), default=num_stages)
        if num_stages > min(TOO_MANY * enough, len(model.layers)):
            break
        if (way := _arranged(model, cluster, load, num_replicas)) is not None:
            ways.append(way)
    if not ways:
        return None
    best = _best(ways)
    return Proposal(ways, best, _loss(model, cluster, load, best))


def _best(ways: list[Arrangement]) -> Arrangement:
    """Of those that serve all requests that come, the one that answers soonest; otherwise the one that gives the most
    tokens, and of those that nearly do, the one whose sequences are fastest."""
    serving = [(way.served.answer_s, place) for place, way in enumerate(ways) if way.served is not None]
    if serving:
        return ways[min(serving)[1]]
    most = max(way.rate for way in ways)
    return min((way for way in ways if way.rate >= CLOSE * most), key=lambda way: way.busy.token_s)


def _loss(model: Model, cluster: Cluster, load: Load, way: Arrangement) -> Loss:
    """Simulates it, until its consequences are over."""
    stages = _stages(model, cluster.host, way.num_stages, way.in_flight, load)
    pipeline = _pipeline(model, cluster, stages)
    outage = Outage(way.busy.end_s / 10, NOTICED_S + max(stage.num_bytes for stage in stages) / cluster.host.disk / 1e9)
    num_pieces = way.in_flight * -(-load.half_way // pipeline.chunk)
    prompts_s = num_pieces * max(stage(Work(prompt=pipeline.chunk)) for stage in stages)
    until_s = outage.at_s + outage.seconds + 3 * prompts_s + way.busy.end_s / 2
    requests = _endless(load, way.in_flight)
    run = pipeline.simulate(requests, _depth(way.num_stages), way.in_flight, until_s, outage)
    return Loss(outage.seconds, max(0.0, until_s - outage.seconds - run.tokens / way.busy.rate))


def _arranged(model: Model, cluster: Cluster, load: Load, num_replicas: int) -> Arrangement | None:
    """So many replicas with as many requests at once as are worth it; None: no room."""
    num_stages = cluster.num_hosts // num_replicas
    depth = _depth(num_stages)
    tried: list[tuple[list[Stage], Run]] = []
    for sequences in (1 << n for n in range((MOST // depth).bit_length())):
        if stages := _stages(model, cluster.host, num_stages, depth * sequences, load):
            tried.append((stages, _busy(_pipeline(model, cluster, stages), load, depth, sequences)))
    if not tried:
        return None
    most = max(run.rate for _, run in tried)
    chosen = next(n for n, (_, run) in enumerate(tried) if run.rate >= CLOSE * most)
    (stages, run), in_flight = tried[chosen], depth << chosen
    pipeline = _pipeline(model, cluster, stages)
    alone = pipeline.simulate([Request(0.0, load.prompt, 1)], depth, 1)
    served = None
    if load.per_s is not None and load.per_s * load.generated < CLOSE * num_replicas * run.rate:
        requests = list(islice(_drawn(load, load.per_s / num_replicas), ARRIVALS))
        served = pipeline.simulate(requests, depth, in_flight)
    return Arrangement(
        layers=[stage.layers for stage in stages],
        num_replicas=num_replicas,
        in_flight=in_flight,
        resident=min(stage.resident for stage in stages),
        busy=run,
        first_s=alone.end_s,
        token_s=pipeline.alone_s(Work(1, 0, 1, decoding_pairs=load.half_way)),
        served=served,
    )


def _depth(num_stages: int) -> int:
    """Steps in flight: one more than there are stages, so that none waits for the driver."""
    return num_stages + 1 if num_stages > 1 else 1


def _stages(model: Model, host: Host, num_stages: int, in_flight: int, load: Load) -> list[Stage]:
    """Hosts that share the layers as they do in a cluster; none when they have no room."""
    cache = in_flight * model.cache_bytes(load.tokens)
    read = [layer.read(model.share_used(GROUP)) for layer in model.layers]
    sizes = [layer.num_bytes + cache for layer in model.layers]
    for room in (usable(host), sum(sizes)):
        if layers := split(read, sizes, [1.0] * num_stages, [room] * num_stages):
            break
    stages = [Stage(model, those, host, cache) for those in layers or ()]
    most = host.memory if all(stage.resident == 1 for stage in stages) else host.memory // CACHE_SHARE
    has_room = all(stage.fits and cache * len(stage.layers) <= most for stage in stages)
    return stages if has_room else []


def _pipeline(model: Model, cluster: Cluster, stages: list[Stage]) -> Pipeline:
    reads_disk = len(stages) == 1 and stages[0].resident < 1
    return Pipeline(stages, cluster.network, model.row_bytes, LONG_CHUNK if reads_disk else CHUNK)


def _busy(pipeline: Pipeline, load: Load, depth: int, sequences: int) -> Run:
    """So many sequences in each step, always."""
    work = Work(sequences, 0, sequences, decoding_pairs=sequences * load.half_way)
    round_s = max(pipeline.alone_s(work), depth * max(stage(work) for stage in pipeline.stages))
    prompt_s = pipeline.simulate([Request(0.0, load.prompt, 1)], depth, 1).end_s
    places = depth * sequences
    rounds = min(load.generated * max(LIVES, REQUESTS / places), VISITS / len(pipeline.stages) / depth)
    return pipeline.simulate(_endless(load, places), depth, places, max(rounds * round_s, PROMPTS * prompt_s))


def _endless(load: Load, places: int) -> Iterator[Request]:
    """Requests that are always there; the first ones, for all places, are as far as requests are in the long run."""
    for number, request in enumerate(_drawn(load, None)):
        if number < places:
            left = max(1, round(request.generated * (number + 0.5) / places))
            done = request.generated - left
            request = Request(0.0, request.prompt + done, left, computed=request.prompt + done)
        yield request


def _drawn(load: Load, per_s: float | None) -> Iterator[Request]:
    """Requests without end, which come at random moments, or all at once."""
    draw, at_s = Random(0), 0.0
    while True:
        if per_s is not None:
            at_s += draw.expovariate(per_s)
        prompt, generated = (
            max(1, round(mean * draw.uniform(1 - SPREAD, 1 + SPREAD))) for mean in (load.prompt, load.generated)
        )
        yield Request(at_s, prompt, generated)
