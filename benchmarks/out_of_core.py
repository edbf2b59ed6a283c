"""A model file that is larger than the memory: this engine's experts in slots beside its plain mapping and peers.

    python tools/make_slice.py DIR/hf --layers 4 --router-bias 0 --native DIR/native.gguf --standard DIR/standard.gguf
    sudo python benchmarks/out_of_core.py DIR/native.gguf [--shares 15,25,50,75] [--tokens 64] [--prompt 2048]
                                          [--routing k2_like|flat|independent|own] [--disks 0,0.5,1,3] [--write]
                                          [--peer "ik=/opt/ik/bin/python" --standard DIR/standard.gguf]

Each engine runs in a process and a control group (version 1 or 2) of its own. The budget of the slots is all that is
always there and a share of the experts, and the limit of their group 256 MiB above it; the mapped file's limit is what
the slots took of theirs, the peers' (PEERS.md) that of the slots. The page cache forgets the file before each row. A
routing is imposed on the router's choices, since a slice has none that was trained: tests/residency/routings.py says
which; on peers none can be imposed, so they are measured with the model's own. The disk is read beside each row, whole
experts past the page cache, as many at once as the engine reads.

C is the time that a token takes when all is in memory, measured in turn with the row's pieces, A the part of C outside
the experts, by bytes, D the time for the bytes of the experts that a token lacks at the disk's rate. An engine that
reads only what a layer has asked for, beside all of the token's computing, takes no less than A + max(C - A, D): "of
the bound". One that computes layer after layer cannot have a layer wait for another's disk: "of the layers' bound" is
the same sum with the maximum taken in each layer. --disks: besides the disk as it is (0), slower ones, by reads that
are held back, so that D is so many times C.
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
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

from benchmarks.machine import anonymous_bytes, card, put_part  # noqa: E402
from benchmarks.out_of_core_engine import CONTEXT, PIECE  # noqa: E402
from benchmarks.workers import Worker, named_python  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "results-out-of-core.md"
GROUPS, GROUP = Path("/sys/fs/cgroup"), "kimi-cpu-out-of-core"
ABOVE = 256 << 20  # bytes of the limit that the budget does not have
SAMPLE_S = 0.1
READS = 24  # experts that a look at the disk reads
HEAD = [
    "experts that fit",
    "engine",
    "disk GB/s",
    "D : C",
    "decode t/s",
    "of the bound",
    "of the layers' bound",
    "hits",
]
HEAD += ["prompt t/s", "of the budget"]


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--shares", default="15,25,50,75", help="percent of the experts that fit")
    parser.add_argument("--tokens", type=int, default=64, help="generated, for a row")
    parser.add_argument("--prompt", type=int, default=2048, help="tokens; 0: none")
    parser.add_argument("--routing", choices=["k2_like", "flat", "independent", "own"], default="k2_like")
    parser.add_argument("--disks", default="0", help="0: as it is; or so many times C")
    parser.add_argument("--peer", type=named_python, action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--standard", type=Path, help="the file in the peers' layout")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lines = [row_of(HEAD), "|" + "---|" * len(HEAD)]
    print("\n".join(lines), flush=True)
    for line in rows(args):
        lines.append(line)
        print(line, flush=True)
    if args.write:
        title = f"{args.routing.replace('_', '-')} routing, {args.file.stat().st_size / 1e9:.1f} GB"
        put_part(RESULTS, "A file that is larger than the memory", title, [*card(), "", *lines])


def rows(args: argparse.Namespace) -> Iterator[str]:
    """Rows of the table."""
    common = {"routing": args.routing, "tokens": args.tokens, "prompt": args.prompt}
    for share in map(int, args.shares.split(",")):
        budget = budget_of(args.file, share)
        slots = in_group(args.file, budget + ABOVE, budget=budget, disks=args.disks, **common)
        used = max(slots["anonymous"], slots["charge"])
        for disk in dict.fromkeys(piece["disk"] for piece in slots["pieces"]):
            cells = figures(slots, [piece for piece in slots["pieces"] if piece["disk"] == disk])
            yield row_of([f"{share} %", "slots", *cells, shown(slots["prefill"]), f"{used / budget:.0%}"])
        mapped = in_group(args.file, used, budget=None, disks="0", **common)
        if slots["answer"] != mapped["answer"]:
            raise SystemExit(f"with {share} % of the experts in memory the tokens are others than with all of them")
        rate = 1 / median(piece["token_s"] for piece in mapped["pieces"])
        cells = [f"{mapped['rate'] / 1e9:.2f}", "", f"{rate:.2f}", "", "", ""]
        yield row_of([f"{share} %", "mapped", *cells, shown(mapped["prefill"]), ""])
        for name, python in args.peer:
            rates = peer_rates(args.standard, budget + ABOVE, python, args.tokens, args.prompt)
            yield row_of([f"{share} %", name, "", "", f"{rates[0]:.2f}", "", "", "", shown(rates[1]), ""])


def row_of(cells: list[str]) -> str:
    """A row of Markdown."""
    return "| " + " | ".join(cells) + " |"


def shown(rate: float) -> str:
    """Tokens a second of a prompt; nothing where none was measured."""
    return f"{rate:.0f}" if rate else ""


def figures(engine: dict, pieces: list[dict]) -> list[str]:
    """Cells of a row, from the disk's rate to the hits; medians of the pieces."""
    found: list[list[float]] = []
    for piece in pieces:
        rate = piece["rate"] if piece["disk"] else engine["rate"]
        inner = (1 - engine["outside"]) * piece["whole_s"]
        layers = np.array(piece["missing"]) * piece["stride"] / rate  # seconds [tokens, layers]
        disk_s, outside_s = layers.sum(axis=1).mean(), piece["whole_s"] - inner
        bound_s = outside_s + max(inner, disk_s)
        layers_s = outside_s + np.maximum(inner / engine["num_layers"], layers).sum(axis=1).mean()
        hits = 1 - np.mean(piece["missing"]) / engine["top_k"]
        token_s = piece["token_s"]
        ratios = bound_s / token_s, layers_s / token_s, hits
        found.append([rate / 1e9, disk_s / piece["whole_s"], 1 / token_s, *ratios])
    rate, disk, speed, bound, layers_bound, hits = (median(values) for values in zip(*found, strict=True))
    return [f"{rate:.2f}", f"{disk:.2f}", f"{speed:.2f}", f"{bound:.0%}", f"{layers_bound:.0%}", f"{hits:.0%}"]


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


def in_group(path: Path, limit: int, disks: str, **settings) -> dict:
    """What a process measures below a limit, as out_of_core_engine.measure returns it; anonymous, charge: the most
    memory of its own and of its group; rate: bytes a second of the disk."""
    before = disk_rate(path)
    settings |= {"disks": list(map(float, disks.split(","))), "rate": before}
    forget(path)
    with control_group(limit) as group:
        process = subprocess.Popen(engine_command(path, settings), stdout=subprocess.PIPE, text=True)
        group.add(process.pid)
        most = {"anonymous": 0, "charge": 0}
        watcher = threading.Thread(target=watch, args=(process, group, most))
        watcher.start()
        out, _ = process.communicate()
        watcher.join()
    if process.returncode:
        raise SystemExit(f"the engine ended with {process.returncode}: what it said stands above")
    return {**json.loads(out.splitlines()[-1]), **most, "rate": (before + disk_rate(path)) / 2}


def engine_command(path: Path, settings: dict) -> list[str]:
    """Runs out_of_core_engine.measure in a process of its own, whose last line is what it returns."""
    return [sys.executable, str(HERE / "out_of_core_engine.py"), str(path), json.dumps(settings)]


def peer_rates(path: Path, limit: int, python: str, tokens: int, prompt: int) -> tuple[float, float]:
    """Tokens a second of a peer below a limit: generated, and of a prompt."""
    forget(path)
    with control_group(limit) as group:
        peer = Worker(HERE / "peers.py", python, path=path, threads=os.cpu_count(), context=CONTEXT, mapped=True)
        group.add(peer.pid)
        name = f"tg{tokens}"
        rates = [peer.ask("piece", name, turn)["rate"] for turn in range(tokens // PIECE + 1)]
        prompt_rate = peer.ask("piece", f"pp{prompt}", 0)["rate"] if prompt else 0.0
        peer.close()
    return median(rates[1:]), prompt_rate


def forget(path: Path) -> None:
    """Takes the file's pages out of the page cache: those that another group is charged for would be free here."""
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def watch(process: subprocess.Popen, group: "Group", most: dict[str, int]) -> None:
    """Samples memory until the process ends: its own, and what the group is charged for except for pages of files."""
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

    def add(self, pid: int) -> None:
        """Puts a process into the group."""
        (self.folder / "cgroup.procs").write_text(str(pid))

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


def disk_rate(path: Path) -> float:
    """Bytes a second of whole experts that are read past the page cache by as many threads as the engine's."""
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
    return READS * stride / seconds


if __name__ == "__main__":
    main()
