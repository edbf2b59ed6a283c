"""The stages of a model on the hosts of a Ray cluster: where they are, and what they are asked."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

from ..errors import ConfigError, EngineDeadError
from . import wire
from .connection import SEAT, part_of
from .stage import StageActor
from .work import Part, Work

PLACE_S = 60.0  # that places on hosts are waited for
CLOSE_S = 5.0  # that stages have to end


class Place(NamedTuple):
    """Where a stage runs. number, of: it is the number-th of so many. host: its address. actor: Ray's handle of its
    StageActor."""

    number: int
    of: int
    host: str
    actor: Any

    @property
    def name(self) -> str:
        """For messages."""
        return f"Stage {self.number} of {self.of} ({self.host})"


class StageGroup:
    """Actors that are to be the stages of a model, one on each host where there are enough, else several on one. The
    last is on the driver's own host, if one is there: logits are the most that is sent."""

    actor = StageActor

    def __init__(self, num_stages: int, work: Work):
        """ConfigError: the cluster that this process is connected to has too few places."""
        import ray
        from ray.util import placement_group, placement_group_table

        nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["Resources"].get(SEAT)}
        num_seats = sum(int(node["Resources"][SEAT]) for node in nodes.values())
        if num_seats < num_stages:
            raise ConfigError(
                f"The Ray cluster offers {num_seats} places for engines, and {num_stages} stages need as many. Start "
                f"Ray on another host with --resources='{{\"{SEAT}\": 1}}', or give one host more."
            )
        strategy = "STRICT_SPREAD" if len(nodes) >= num_stages else "SPREAD"
        self._group = placement_group([{SEAT: 1}] * num_stages, strategy)
        self._running: list[Any] = []  # references of `run`
        self.places: list[Place] = []
        try:
            if not self._group.wait(PLACE_S):
                raise ConfigError(f"The places of the Ray cluster's {num_seats} engines are taken by something else.")
            chosen: Mapping[int, str] = placement_group_table(self._group)["bundles_to_node_id"]
            own = ray.get_runtime_context().get_node_id()
            in_order = sorted(chosen.items(), key=lambda item: (item[1] == own, item[1], item[0]))
            taken = Counter[str]()
            for number, (bundle, node) in enumerate(in_order, 1):
                part = part_of(nodes[node]["Resources"], taken[node])
                taken[node] += 1
                host: str = nodes[node]["NodeManagerAddress"]
                self.places.append(Place(number, num_stages, host, self._made(bundle, work, part)))
        except BaseException:
            self.close()
            raise

    def sort(self, keys: Sequence[Any]) -> list[int]:
        """Gives the stages the order of these keys; those with equal ones keep theirs. The places that they had."""
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self.places = [self.places[index]._replace(number=number) for number, index in enumerate(order, 1)]
        return order

    def ask(
        self,
        method: str,
        arguments: Sequence[tuple[Any, ...]] | None = None,
        told: Callable[[int], None] = lambda index: None,
    ) -> list[dict[str, Any]]:
        """What a method of each stage says. arguments: each stage's. told: of each stage, in order, when it has
        answered. ConfigError: one refuses. EngineDeadError: one is gone."""
        arguments = arguments or [()] * len(self.places)
        asked = [getattr(place.actor, method).remote(*own) for place, own in zip(self.places, arguments, strict=True)]
        answers: list[dict[str, Any]] = []
        for index, (place, reference) in enumerate(zip(self.places, asked, strict=True)):
            answers.append(heard(place, reference.future()))
            told(index)
        return answers

    def run(self, arguments: Sequence[tuple[Any, ...]]) -> None:
        """Has the stages run. arguments: each stage's."""
        for place, own in zip(self.places, arguments, strict=True):
            self._running.append(place.actor.run.options(concurrency_group="run").remote(*own))

    def watch(self, gone: Callable[[str], None]) -> None:
        """gone: told when a stage's process has ended, or its host, from any thread."""
        for place, reference in zip(self.places, self._running, strict=True):

            def ended(future: "Future[None]", place: Place = place) -> None:
                if (error := future.exception()) is not None:
                    gone(f"{place.name} is gone ({type(error).__name__}).")

            reference.future().add_done_callback(ended)

    def close(self) -> None:
        """Ends the stages; those that run have been left by their driver."""
        import ray
        from ray.util import remove_placement_group

        with suppress(Exception):  # Ray has many, and there is nothing left to be saved
            if self._running:
                ray.wait(self._running, num_returns=len(self._running), timeout=CLOSE_S)
            for place in self.places:
                ray.kill(place.actor)
            remove_placement_group(self._group)

    def _made(self, bundle: int, work: Work, part: Part) -> Any:
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        options = {
            "num_cpus": 0,  # what it uses is its seat's part
            "resources": {SEAT: 1},
            "scheduling_strategy": PlacementGroupSchedulingStrategy(self._group, bundle),
            "concurrency_groups": {"run": 1},
        }
        return ray.remote(**options)(self.actor).remote(work.packed(), part)


def heard(place: Place, answer: "Future[bytes]") -> dict[str, Any]:
    """What a stage has said. ConfigError: that it cannot. EngineDeadError: nothing, as it is gone."""
    try:
        data = answer.result()
    except Exception as e:  # Ray has many
        raise EngineDeadError(f"{place.name} is gone ({type(e).__name__}).") from e
    try:
        return wire.unpack(data)
    except wire.Refused as e:
        raise ConfigError(f"{place.name}: {e}") from None
