"""A model that answers with numbers which (custom_id, place) alone decide, as slowly as wanted; and files for it."""

import json
import queue
import threading
import time
from hashlib import blake2b
from pathlib import Path

from kimi_cpu.batch import BatchOptions, Run
from kimi_cpu.batch.model import Answered, Failed, Grown, Lost, Tokens
from kimi_cpu.batch.results import Failure


def token(custom_id, place):
    """The id at a place of an answer."""
    name = custom_id.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(name + b" %d" % place, digest_size=2).digest(), "big")


def answer(custom_id, count):
    """All ids of an answer."""
    return [token(custom_id, place) for place in range(count)]


class FakeModel:
    """Answers max_tokens ids, step_s apart, each request on a thread of its own.

    resumed: the ids that each job began with. withdrawn: keys of jobs that were taken back. at_step: called once, at a
    step of all answers together.
    """

    lag_s = 0.0

    def __init__(self, step_s=0.0, at_step=(0, None)):
        self.step_s, self.num_steps, self.resumed, self.order, self.withdrawn = step_s, 0, {}, [], []
        self.at_step, self.identity = at_step, {}
        self.lock, self.events = threading.Lock(), queue.SimpleQueue()
        self.running = {}  # key: what runs for it, which is forgotten when that is to end
        self.lost = False

    def connect(self, wake):
        self.wake, self.lost, self.events = wake, False, queue.SimpleQueue()

    def start(self, job, resume):
        if self.lost:
            raise Lost("The machine is gone.")
        outcome = self.answer(job, resume)
        if isinstance(outcome, Failure):
            self.tell(Failed(job.key, outcome))
        else:
            self.running[job.key] = outcome
            threading.Thread(target=self.follow, args=(outcome, job, *outcome), daemon=True).start()

    def answer(self, job, resume):
        """(number of ids, those that are known) of the answer, or why there is none."""
        if "max_tokens" not in job.body:
            return Failure("max_tokens is missing.", param="max_tokens")
        self.resumed[job.custom_id] = list(resume)
        self.order.append(job.custom_id)
        return job.body["max_tokens"], list(resume)

    def follow(self, run, job, count, ids):
        while len(ids) < count and self.running.get(job.key) is run:
            time.sleep(self.step_s)
            self.step()
            ids.append(token(job.custom_id, len(ids)))
            self.tell(Grown(job.key, [ids[-1]]), run)
        self.tell(Answered(job.key, {"ids": list(ids)}, Tokens(prompt=1, completion=len(ids))), run)

    def step(self):
        with self.lock:
            self.num_steps += 1
            if self.num_steps == self.at_step[0]:
                self.at_step[1]()

    def tell(self, event, run=None):
        if self.running.get(event.key) is run:
            self.events.put((event, run))
            self.wake()

    def poll(self):
        if self.lost:
            raise Lost("The machine is gone.")
        told = [self.events.get() for _ in range(self.events.qsize())]
        return [event for event, run in told if self.running.get(event.key) is run]

    def withdraw(self, key):
        self.withdrawn.append(key)
        self.running.pop(key, None)

    def cancel(self):
        self.running.clear()

    def die(self):
        """All that runs here is gone, and what was not fetched, too."""
        self.running.clear()
        self.lost = True
        self.wake()


def request(custom_id, count=3, url="/v1/completions", **body):
    """A line of input."""
    body = {"prompt": custom_id, "max_tokens": count} | body
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def write(path: Path, lines) -> Path:
    """An input file."""
    path.write_text("".join(line + "\n" for line in lines))
    return path


def run(source, output, model=None, identity=None, **options):
    """A whole run; how far it came."""
    model = model or FakeModel()
    model.identity = identity or {}
    return Run([model], source, output, BatchOptions(**options)).run()


def interrupted(source, output, step=100, identity=None, **options):
    """A run that is stopped at a step."""
    model = FakeModel(0.001)
    model.identity = identity or {}
    stopped = Run([model], source, output, BatchOptions(**options))
    model.at_step = step, stopped.stop
    return stopped.run()


def results(output: Path) -> list[dict]:
    """The lines of an output."""
    return [json.loads(line) for line in output.read_bytes().splitlines()]


def answers(output: Path) -> dict[str, list[int]]:
    """Ids by custom_id, of an output without failures or repetitions."""
    found = [(r["custom_id"], r["response"]["body"]["ids"]) for r in results(output)]
    assert len(dict(found)) == len(found), "a result stands twice in the output"
    return dict(found)
