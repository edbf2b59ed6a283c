"""What is not computed twice, and what company costs: this engine and llama.cpp on the same weights, in turn.

    python tools/make_slice.py DIR/hf --layers 4 --native DIR/native.gguf --standard DIR/standard.gguf
    python benchmarks/cache.py DIR/native.gguf DIR/standard.gguf [--threads 2] [--rounds 3] [--parts reuse,decode,many]
                               [--prefix 8192] [--samples 8x4096] [--session 32768] [--depths 0,4096,16384,65536]
                               [--sequences 1,2,4,8,16,32] [--kv f16,int8] [--no-peer] [--write]

Needs llama-cpp-python, built for this CPU. Each engine lives in its own process and sleeps while the other is measured.
reuse: a second request with the same beginning, samples of one prompt, and a session from disk (its file is dropped
from the page cache before it is read), each beside the same computed anew. decode: tg32 at several depths. many: steps
of several sequences at a depth of 64. llama.cpp is asked through its C functions, at its best: prefixes are kept and
copied by hand where a server would have to find them. --write puts each table in results-cache.md as it is there; a
size of 0 leaves a line of reuse out.
"""

import argparse
import ctypes
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import engine
from machine import card, put_part, spread

HERE = Path(__file__).parent
RESULTS = HERE / "results-cache.md"
NEW_TOKENS = 64  # of a request, after the common prefix
GENERATED = 32  # tokens of a decode row


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("native", type=Path)
    parser.add_argument("standard", type=Path)
    parser.add_argument("--parts", default="reuse,decode,many")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefix", type=int, default=8192)
    parser.add_argument("--samples", default="8x4096", help="samples x tokens of their prompt; 0x0: none")
    parser.add_argument("--session", type=int, default=32768)
    parser.add_argument("--depths", default="0,4096,16384,65536")
    parser.add_argument("--sequences", default="1,2,4,8,16,32")
    parser.add_argument("--kv", default="f16,int8", help="our types of cache; llama.cpp's is f16")
    parser.add_argument("--flash", choices=["on", "off"], default="on", help="llama.cpp's flash attention")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(json.loads(args.worker))
        return
    parts = args.parts.split(",")
    depths = [int(d) for d in args.depths.split(",")] if "decode" in parts else [0]
    num_samples, sample_tokens = (int(n) for n in args.samples.split("x"))
    longest = max(args.prefix, num_samples * sample_tokens, args.session) if "reuse" in parts else 0
    common = {"script": __file__, "threads": args.threads, "context": max(longest, *depths) + 1024}
    workers = {f"kimi-cpu {kv}": engine.Worker(engine="kimi", path=args.native, kv=kv, **common) for kv in _kinds(args)}
    if not args.no_peer:
        workers["llama.cpp"] = engine.Worker(engine="llama", path=args.standard, flash=args.flash, **common)
    if "reuse" in parts:
        reuse(workers, args, num_samples, sample_tokens)
    if "decode" in parts:
        rows = [f"tg{GENERATED}@d{d}" if d else f"tg{GENERATED}" for d in depths]
        put(args, "Decoding at a depth, tokens a second", rates(rows, workers, args.rounds))
    if "many" in parts:
        rows = [f"x{n}" for n in args.sequences.split(",")]
        put(args, "Several sequences, tokens a second of all", rates(rows, workers, args.rounds))
    for worker in workers.values():
        worker.close()


def put(args, title: str, table: list[str]) -> None:
    """With --write: a part of results-cache.md, with what it was measured on; the other parts stay."""
    if args.write:
        put_part(RESULTS, "Cache, sessions and company", title, [*_head(args), "", *table])


def reuse(workers: dict, args, num_samples: int, sample_tokens: int) -> None:
    """Seconds to do a thing anew, seconds with what was kept, and their ratio: a part each."""
    questions = [
        (f"first token after {args.prefix} tokens that were seen, {NEW_TOKENS} new", "prefix", [args.prefix]),
        (f"{num_samples} samples of a prompt of {sample_tokens} tokens", "samples", [num_samples, sample_tokens]),
        (f"a session of {args.session} tokens from disk", "session", [args.session]),
    ]
    for text, what, numbers in questions:
        if not numbers[-1]:
            continue
        lines = ["| | engine | anew | with what was kept | ratio |", "|---|---|---|---|---|"]
        found = {name: [] for name in workers}
        for _ in range(args.rounds):
            for name, worker in workers.items():
                found[name].append(worker.ask(what, numbers=numbers))
        for name, answers in found.items():
            anew, kept = [a["anew"] for a in answers], [a["kept"] for a in answers]
            ratio = spread((k / a for a, k in zip(anew, kept, strict=True)), 4)
            label = text
            if what == "samples":
                apart = spread((a["apart"] for a in answers), 2)
                label += f"; anew: one, {num_samples} apart take {apart}"
            lines.append(f"| {label} | {name} | {spread(anew, 2)} | {spread(kept, 3)} | {ratio} |")
            print(lines[-1], flush=True)
        put(args, f"Reuse: {what}, seconds", lines)


def rates(rows: list[str], workers: dict, rounds: int) -> list[str]:
    """A table of benchmarks/engine.py's rows: median of the rounds after one that is not counted, ratio to the peer."""
    names = list(workers)
    lines = [
        "| | " + " | ".join(names) + " | ratio to llama.cpp |",
        "|---" * (len(names) + 2) + "|",
    ]
    for row in rows:
        found = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name, worker in workers.items():
                rate = worker.ask("row", row=row)["rate"]
                if turn:
                    found[name].append(rate)
        peer = median(found["llama.cpp"]) if "llama.cpp" in found else None
        ratios = ", ".join(f"{median(r) / peer:.2f}" for n, r in found.items() if n != "llama.cpp") if peer else ""
        lines.append(f"| {row} | " + " | ".join(spread(r) for r in found.values()) + f" | {ratios} |")
        print(lines[-1], flush=True)
    return lines


def _kinds(args) -> list[str]:
    return args.kv.split(",")


def _head(args) -> list[str]:
    packages, peer = ["numpy", "numba"], []
    if not args.no_peer:
        packages.append("llama-cpp-python")
        peer.append(f"llama.cpp keeps and copies prefixes by hand, cache f16, flash attention {args.flash};")
        peer.append("at a depth its cache is filled with copies of 512 tokens.")
    size = args.native.stat().st_size / 1e9
    return [
        f"Written by benchmarks/cache.py: median (smallest-largest) of {args.rounds} alternating rounds, "
        f"{args.threads} threads, {args.native.name} of {size:.2f} GB.",
        *peer,
        "",
        *card(packages),
    ]


def serve(settings: dict) -> None:
    """A worker's life: questions on stdin, answers on stdout."""
    worker = (Ours if settings["engine"] == "kimi" else Theirs)(settings)
    for line in sys.stdin:
        question = json.loads(line)
        arguments = [question["row"]] if question["what"] == "row" else question["numbers"]
        print(json.dumps(getattr(worker, question["what"])(*arguments)), flush=True)


def timed(function) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def dropped(path: Path) -> Path:
    """A file that has to be read from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


class Ours(engine.Kimi):
    """This engine, through the Python API."""

    def prefix(self, num_tokens: int) -> dict:
        """First token of a prompt, and of another one with the same beginning."""
        common = self._ids(num_tokens)
        anew, kept = (timed(lambda: self._first_token(common + self._ids(NEW_TOKENS))) for _ in range(2))
        return {"anew": anew, "kept": kept}

    def samples(self, count: int, num_tokens: int) -> dict:
        """First tokens of one prompt, of its samples, and of as many different prompts."""
        anew = timed(lambda: self._first_token(self._ids(num_tokens)))
        kept = timed(lambda: self._first_tokens(self.llm.samples(self._ids(num_tokens), count, max_tokens=1)))
        prompts = [self._ids(num_tokens) for _ in range(count)]
        apart = timed(lambda: self._first_tokens([self.llm.samples(p, max_tokens=1)[0] for p in prompts]))
        return {"anew": anew, "kept": kept, "apart": apart}

    def session(self, num_tokens: int) -> dict:
        """First token after a conversation that is computed, and after one that is loaded by a fresh engine."""
        ids, session = self._ids(num_tokens), self.llm.session()
        anew = timed(lambda: list(self.llm.stream(ids, session=session, max_tokens=1, temperature=0)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "talk.session"
            session.save(path)
            self.llm.close()
            self.llm = self.load()
            dropped(path)
            kept = timed(lambda: self._go_on(path, ids))
        return {"anew": anew, "kept": kept}

    def _go_on(self, path: Path, ids: list[int]) -> None:
        pieces = list(self.llm.stream(ids, session=self.llm.load_session(path), max_tokens=1, temperature=0))
        assert pieces[-1].usage.cached_tokens == len(ids) - 1

    def _first_token(self, ids: list[int]) -> None:
        self.llm.generate(ids, max_tokens=1, temperature=0)

    def _first_tokens(self, generations: list) -> None:
        for generation in generations:
            list(generation)


class Theirs(engine.Llama):
    """llama.cpp, whose sequences are numbers that the caller keeps."""

    def prefix(self, num_tokens: int) -> dict:
        """See Ours."""
        self._clear()
        anew = timed(lambda: self._prompt(num_tokens + NEW_TOKENS, 0))
        self.api.llama_memory_seq_rm(self.memory, 0, num_tokens, -1)
        return {"anew": anew, "kept": timed(lambda: self._prompt(NEW_TOKENS, num_tokens))}

    def samples(self, count: int, num_tokens: int) -> dict:
        """See Ours; the first tokens of all samples follow from the one prompt's logits."""
        self._clear()
        anew = timed(lambda: self._prompt(num_tokens, 0))
        self._clear()

        def shared() -> None:
            self._prompt(num_tokens, 0)
            for sequence in range(1, count):
                self.api.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)

        kept = timed(shared)
        self._clear()
        apart = timed(lambda: [self._prompt(num_tokens, 0, sequence) for sequence in range(count)])
        return {"anew": anew, "kept": kept, "apart": apart}

    def session(self, num_tokens: int) -> dict:
        """See Ours."""
        self._clear()
        anew = timed(lambda: self._prompt(num_tokens, 0))
        tokens, count = (ctypes.c_int32 * num_tokens)(), ctypes.c_size_t()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "talk.state"
            self.api.llama_state_seq_save_file(self.context, str(path).encode(), 0, tokens, num_tokens)
            self._clear()
            name = str(dropped(path)).encode()

            def restore() -> None:
                if not self.api.llama_state_seq_load_file(
                    self.context, name, 0, tokens, num_tokens, ctypes.byref(count)
                ):
                    raise SystemExit("llama_state_seq_load_file failed")
                self._step([(0, num_tokens)])

            kept = timed(restore)
        self._clear()
        return {"anew": anew, "kept": kept}

    def _clear(self) -> None:
        self.api.llama_memory_clear(self.memory, True)
        self.depth = 0


if __name__ == "__main__":
    main()
