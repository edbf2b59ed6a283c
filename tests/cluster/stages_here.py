"""Stages in this process, behind what looks like those of a Ray cluster."""

from concurrent.futures import ThreadPoolExecutor

from kimi_cpu.cluster import Work
from kimi_cpu.cluster.stage import StageActor
from kimi_cpu.cluster.stage_group import Place, StageGroup, heard
from kimi_cpu.cluster.staging import ON_HOSTS, make_engine
from kimi_cpu.cluster.work import Part
from kimi_cpu.llm import LLM
from kimi_cpu.llm.options import options_of

MEMORY = 2 << 30


class Group:
    """See StageGroup."""

    def __init__(self, files, **loading):
        works = [Work(str(file), None, {"threads": 1, **loading}, False) for file in files]
        count = len(files)
        actors = [StageActor(work.packed(), Part(number, count, 1, MEMORY)) for number, work in enumerate(works)]
        self.places = [Place(number, count, "127.0.0.1", actor) for number, actor in enumerate(actors, 1)]
        self._threads = ThreadPoolExecutor(2 * count)
        self._running = []

    sort = StageGroup.sort

    def ask(self, method, arguments=None, told=lambda index: None):
        arguments = arguments or [()] * len(self.places)
        asked = [
            self._threads.submit(getattr(place.actor, method), *own)
            for place, own in zip(self.places, arguments, strict=True)
        ]
        answers = []
        for index, (place, future) in enumerate(zip(self.places, asked, strict=True)):
            answers.append(heard(place, future))
            told(index)
        return answers

    def run(self, arguments):
        for place, own in zip(self.places, arguments, strict=True):
            self._running.append(self._threads.submit(place.actor.run, *own))

    def watch(self, gone):
        """No process is lost here."""

    def close(self):
        for future in self._running:
            future.result()
        self._threads.shutdown()


def staged(model, count, told=None, groups=None, files=None, **options):
    """A model of so many stages. told: takes the sentences that its owner is told. groups: takes the group. files: the
    stages' own."""
    tell = (lambda sentence: None) if told is None else told.append
    loading = {name: value for name, value in options.items() if name in ON_HOSTS}

    def grouped():
        group = Group(files or [model] * count, **loading)
        if groups is not None:
            groups.append(group)
        return group

    return LLM(model, options_of(options), None, lambda *args: make_engine(grouped, tell, *args))
