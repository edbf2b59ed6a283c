"""A model file that is larger than the memory: this engine's experts in slots beside its plain mapping of the file.

    python tools/make_slice.py DIR/hf --layers 4 --router-bias 0 --native DIR/native.gguf
    sudo python benchmarks/out_of_core.py DIR/native.gguf [--shares 15,25,50,75] [--tokens 48] [--prompt 2048]
                                          [--routing k2_like|flat|independent|own] [--write]

Each engine runs in a process and a control group (version 1 or 2) of its own. The budget of the slots is all that is
always there and a share of the experts, and the limit of their group 256 MiB above it; the mapped file's limit is what
the slots took of theirs. The page cache forgets the file before each row. A routing is imposed on the router's choices,
since a slice has none that was trained: tests/residency/routings.py says which. The disk is read beside each row, whole
experts past the page cache, as many at once as the engine reads.

D is the time for the bytes that a token misses at that rate, C the time that a token takes when all is in memory, A the
part of C outside the experts, by bytes. Without looking ahead no token takes less than A + max(C - A, D): "of the
bound".
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

from benchmarks.machine import card, put_part  # noqa: E402
from tests.residency import routings  # noqa: E402
from tests.residency.routings import Routed  # noqa: E402

RESULTS = Path(__file__).with_name("results-out-of-core.md")
GROUPS, GROUP = Path("/sys/fs/cgroup"), "kimi-cpu-out-of-core"
ABOVE = 256 << 20  # bytes of the limit that the budget does not have
CONTEXT = 4096
WARM = 96  # tokens before those that are measured
SAMPLE_S = 0.1
READS = 24  # experts that a look at the disk reads


class Imposed:
    """A residency that changes what a layer has routed before it brings the experts, if there is one to bring them."""

    def __init__(self, inner, routing: Routed, first_layer: int):
        """routing: of each token; it begins anew at its end."""
        self._inner, self._routing, self._first = inner, routing, first_layer
        self._at = self._next = 0

    def arrivals(self, layer, dispatch, stop):
        if layer == self._first:
            self._at = self._next
        top_k = dispatch.ids.shape[1]
        num_tokens = int(dispatch.first[dispatch.num_active[0]]) // top_k
        self._next = self._at + num_tokens
        rows = np.arange(self._at, self._next) % len(self._routing.ids)
        ids = self._routing.ids[rows, layer - self._first]  # [T, k]
        dispatch.ids[:num_tokens] = ids
        dispatch.scores[:num_tokens] = self._routing.scores[rows, layer - self._first]
        active, counts = np.unique(ids, return_counts=True)
        dispatch.order[: ids.size] = np.argsort(ids.reshape(-1), kind="stable")
        dispatch.active[: len(active)] = active
        dispatch.first[: len(active) + 1] = np.concatenate([[0], np.cumsum(counts)])
        dispatch.num_active[0] = len(active)
        if self._inner is None:
            yield np.arange(len(active)), len(active)
        else:
            yield from self._inner.arrivals(layer, dispatch, stop)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--shares", default="15,25,50,75", help="percent of the experts that fit")
    parser.add_argument("--tokens", type=int, default=48, help="generated")
    parser.add_argument("--prompt", type=int, default=2048, help="tokens; 0: none")
    parser.add_argument("--routing", choices=["k2_like", "flat", "independent", "own"], default="k2_like")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(measure(args.file, **json.loads(args.worker))))
        return
    common = {"routing": args.routing, "tokens": args.tokens, "prompt": args.prompt}
    whole = in_group(args.file, None, budget=None, **common)
    compute_s, outside = 1 / whole["decode"], whole["outside"]
    lines = [
        "| experts that fit | engine | decode t/s | of the bound | hits | prompt t/s | disk GB/s | of the budget |",
        "|---|---|---|---|---|---|---|---|",
        f"| all | mapped | {whole['decode']:.2f} | | | {whole['prefill']:.1f} | {whole['disk']:.2f} | |",
    ]
    print("\n".join(lines), flush=True)
    for share in map(int, args.shares.split(",")):
        budget = budget_of(args.file, share)
        slots = in_group(args.file, budget + ABOVE, budget=budget, **common)
        used = max(slots["anonymous"], slots["charge"])
        missed_s = slots["missed"] / slots["disk"] / 1e9
        bound_s = outside * compute_s + max((1 - outside) * compute_s, missed_s)
        found = {"slots": [f"{bound_s * slots['decode']:.0%}", f"{slots['hits']:.0%}", f"{used / budget:.0%}"]}
        mapped = in_group(args.file, used, budget=None, **common)
        for name, row in {"slots": slots, "mapped": mapped}.items():
            bound, hits, part = found.get(name, ["", "", ""])
            cells = [f"{row['decode']:.2f}", bound, hits, f"{row['prefill']:.1f}", f"{row['disk']:.2f}", part]
            lines.append(f"| {share} % | {name} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    if args.write:
        title = f"{args.routing.replace('_', '-')} routing, {args.file.stat().st_size / 1e9:.1f} GB"
        put_part(RESULTS, "A file that is larger than the memory", title, [*card(), "", *lines])


def budget_of(path: Path, share: int) -> int:
    """Bytes for all that is always there and a share of the experts, in percent."""
    from kimi_cpu.llm.memory import share_memory
    from kimi_cpu.llm.options import LoadOptions
    from kimi_cpu.modelfile import ModelFile

    with ModelFile.open(path) as file:
        sizes = {tensor.name: tensor.nbytes for tensor in file.tensors.values()}
        low, high = 0, 1 << 40
        wanted = share * file.config.n_routed_experts * sum("_exps" in name for name in sizes) // 100
        while high - low > 1 << 20:
            middle = (low + high) // 2
            try:
                found = share_memory(path, file.config, sizes, LoadOptions(memory=middle, context=CONTEXT))
                enough = found.num_slots is None or found.num_slots >= wanted
            except Exception:
                enough = False
            low, high = (low, middle) if enough else (middle, high)
    return high


def in_group(path: Path, limit: int | None, **settings) -> dict:
    """What a process measures below a limit; anonymous, charge: the most memory of its own and of its group."""
    command = [sys.executable, __file__, str(path), "--worker", json.dumps(settings)]
    disk = [disk_rate(path)]
    forget(path)
    with control_group(limit) as group:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=group.join)
        most = {"anonymous": 0, "charge": 0}
        watcher = threading.Thread(target=watch, args=(process, group, most))
        watcher.start()
        out, _ = process.communicate()
        watcher.join()
    if process.returncode:
        raise SystemExit(f"the engine ended with {process.returncode}: what it said stands above")
    disk.append(disk_rate(path))
    return {**json.loads(out.splitlines()[-1]), **most, "disk": mean(disk)}


def forget(path: Path) -> None:
    """Takes the file's pages out of the page cache: those that another group is charged for would be free here."""
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def watch(process: subprocess.Popen, group: "Group", most: dict[str, int]) -> None:
    """Samples memory until the process ends: its own, and what the group is charged for except for pages of files."""
    from benchmarks.machine import anonymous_bytes

    while process.poll() is None:
        most["anonymous"] = max(most["anonymous"], anonymous_bytes(process.pid))
        most["charge"] = max(most["charge"], group.charge())
        time.sleep(SAMPLE_S)


class Group:
    """A control group for memory, version 1 or 2, which limits nothing when `limit` is None."""

    def __init__(self, limit: int | None, name: str):
        self._is_v2 = (GROUPS / "cgroup.controllers").exists()
        self.folder = GROUPS / name if self._is_v2 else GROUPS / "memory" / name
        if self._is_v2:
            (GROUPS / "cgroup.subtree_control").write_text("+memory")
        self.folder.mkdir(exist_ok=True)
        if limit is not None:
            (self.folder / ("memory.max" if self._is_v2 else "memory.limit_in_bytes")).write_text(str(limit))

    def join(self) -> None:
        """Puts the process that calls it into the group."""
        (self.folder / "cgroup.procs").write_text("0")

    def charge(self) -> int:
        """Bytes that the group is charged for, without pages of files, which give way."""
        usage = int((self.folder / ("memory.current" if self._is_v2 else "memory.usage_in_bytes")).read_text())
        words = (self.folder / "memory.stat").read_text().split()
        stat = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        return usage - stat["inactive_file"] - stat["active_file"]


@contextmanager
def control_group(limit: int | None, name: str = GROUP) -> Iterator[Group]:
    """A group while the block lasts."""
    group = Group(limit, name)
    try:
        yield group
    finally:
        with suppress(OSError):  # it stays, empty, when the system has not noticed yet that its process has ended
            group.folder.rmdir()


def measure(path: Path, budget: int | None, routing: str, tokens: int, prompt: int) -> dict:
    """In a process of its own: tokens a second, hits, bytes that a token misses, share of its time outside the
    experts. budget: None for a plain mapping."""
    import kimi_cpu
    from kimi_cpu.llm import memory

    memory.usable_memory = lambda: 1 << 50  # the limit is known to the mapped file's pages alone
    memory.free_memory = lambda: 1 << 50
    options = {"preload": False} if budget is None else {"memory": budget}
    with kimi_cpu.load(path, context=CONTEXT, speculate=False, **options) as llm:
        c, model = llm.config, llm._thread._engine.model
        first = next(n for n in range(c.num_hidden_layers) if c.is_moe_layer(n))
        if routing != "own":
            length = WARM + 2 * tokens + 2 * prompt + 64
            chosen = getattr(routings, routing)(length, c.num_hidden_layers - first, c.n_routed_experts)
            model._residency = Imposed(model._residency, chosen, first)
        numbers = np.random.default_rng(0)

        def drawn(count: int) -> list[int]:
            return numbers.integers(0, c.vocab_size, count).tolist()

        def generate(num_prompt: int, count: int):
            return llm.generate(drawn(num_prompt), max_tokens=count, temperature=0, ignore_eos=True).timings

        generate(8, WARM)
        pieces = llm.stream(drawn(8), max_tokens=tokens + 1, temperature=0, ignore_eos=True)
        next(piece for piece in pieces if piece.token_ids)
        before, started = llm.experts_state(), time.perf_counter()
        count = sum(len(piece.token_ids) for piece in pieces)
        seconds, after = time.perf_counter() - started, llm.experts_state()
        prefill = generate(prompt, 1) if prompt else None
        return {
            "decode": count / seconds,
            "prefill": prompt / prefill.prefill_s if prefill else 0.0,
            "hits": (after.num_hits - before.num_hits) / (after.num_uses - before.num_uses) if after else 1.0,
            "outside": 1 - llm.needs.token_experts / llm.needs.token,
            "missed": (after.bytes_read - before.bytes_read) / count if after else 0.0,
        }


def disk_rate(path: Path) -> float:
    """GB/s of whole experts that are read past the page cache by as many threads as the engine's."""
    from kimi_cpu.modelfile import ModelFile
    from kimi_cpu.residency import NUM_READERS, Reads, Slots, WeightsReader

    with ModelFile.open(path) as file:
        layers = [tensor for name, tensor in file.tensors.items() if "_exps" in name]
    stride, numbers = layers[0].shape[1], np.random.default_rng(os.getpid())
    slots, reads = Slots(2 * NUM_READERS, stride), Reads(WeightsReader(path))
    for slot in range(2 * NUM_READERS):
        slots.room(slot)[:] = 0  # it is real from then on
    started, left = time.perf_counter(), READS
    for number in range(READS):
        tensor = layers[numbers.integers(len(layers))]
        offset = tensor.offset + int(numbers.integers(tensor.shape[0])) * stride
        reads.ask(number, offset, slots.room(number % (2 * NUM_READERS)))
    while left:
        left -= len(reads.wait(1.0))
    seconds = time.perf_counter() - started
    reads.close()
    slots.release()
    return READS * stride / seconds / 1e9


if __name__ == "__main__":
    main()
