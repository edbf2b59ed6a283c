"""Tokens a second of this engine and of llama.cpp on the same weights, in turn, in one run.

    python tools/make_slice.py DIR/hf --layers 4 --native DIR/native.gguf --standard DIR/standard.gguf
    python benchmarks/engine.py DIR/native.gguf DIR/standard.gguf [--rows pp512,tg64,tg64@d4096,x16] [--threads 1,2]
                                [--rounds 5] [--kv f16,int8] [--write [--append]]

Needs llama-cpp-python, built for this CPU. Each engine lives in its own process and sleeps while the other is measured.
Rows are llama-bench's; x16 is one decode step of 16 sequences at a depth of 64 tokens, all sequences counted. "read" is
the share of the memory's bandwidth, measured by a reader just before, that the bytes read for a token make up; "mul"
the share of the multiply-adds of the kernel benchmark's experts (512 tokens). --write puts the table in RESULTS.md.
"""

import argparse
import ctypes
import json
import struct
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from statistics import median
from threading import Thread

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
BATCH_DEPTH, BATCH_STEPS = 64, 8
PROMPT_STEP = 512  # tokens of a step, both engines
MAX_SEQUENCES = 32


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("native", type=Path)
    parser.add_argument("standard", type=Path)
    parser.add_argument("--rows", default="tg64,pp512,pp2048,tg64@d4096,tg64@d16384,x16")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kv", default="f16,int8", help="our types of cache; llama.cpp's is f16")
    parser.add_argument("--flash", default="on,off", help="llama.cpp's flash attention; the faster one is shown")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--append", action="store_true", help="with --write: another table in the same RESULTS.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(json.loads(args.worker))
        return
    rows = args.rows.split(",")
    context = max(parse(row)[1] + parse(row)[2] for row in rows) + 64
    lines, before = [], RESULTS.read_text() + "\n" if args.append else ""
    for threads in (int(n) for n in args.threads.split(",")):
        ours = {
            kv: Worker(engine="kimi", path=args.native, kv=kv, threads=threads, context=context)
            for kv in args.kv.split(",")
        }
        theirs = {
            flash: Worker(engine="llama", path=args.standard, flash=flash, threads=threads, context=context)
            for flash in ([] if args.no_peer else args.flash.split(","))
        }
        machine = Worker(engine="machine", threads=threads)
        for row in rows:
            lines.append(compare(row, machine, threads, ours, theirs, args.rounds))
            print(lines[-1], flush=True)
            if args.write:
                write(lines, args, before)
        for worker in (machine, *ours.values(), *theirs.values()):
            worker.close()


def parse(row: str) -> tuple[str, int, int]:
    """(kind, count, depth) of pp512, tg64@d4096 or x16."""
    if row.startswith("x"):
        return "x", int(row[1:]), BATCH_DEPTH + BATCH_STEPS
    name, _, depth = row.partition("@d")
    return name[:2], int(name[2:]), int(depth or 0)


class Worker:
    """One engine in its own process; answers one question at a time."""

    def __init__(self, script: str = __file__, **settings):
        text = json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in settings.items()})
        command = [sys.executable, script, "-", "-", "--worker", text]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str, **more) -> dict:
        self._process.stdin.write(json.dumps({"what": what, **more}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def compare(row: str, machine: Worker, threads: int, ours: dict, theirs: dict, rounds: int) -> str:
    """One line of the table: all engines in turn, `rounds` times, after one turn that is not counted."""
    workers = {**{f"kimi {kv}": w for kv, w in ours.items()}, **{f"llama {flash}": w for flash, w in theirs.items()}}
    rates, shares, bounds = ({name: [] for name in workers} for _ in range(3))
    for turn in range(rounds + 1):
        for name, worker in workers.items():
            before = machine.ask("row", row=row)
            answer = worker.ask("row", row=row)
            if turn:
                rates[name].append(answer["rate"])
                if "bytes" in answer:
                    after = machine.ask("row", row=row)
                    read = median([before["reader"], after["reader"]])
                    bound = before["macs"] if "macs" in answer else read
                    shares[name].append(answer["rate"] * answer["macs" if "macs" in answer else "bytes"] / bound)
                    bounds[name].append(bound / 1e9)
    best = max((median(r) for name, r in rates.items() if name.startswith("llama")), default=0)
    cells = []
    for name, r in rates.items():
        text = f"{median(r):.1f} ({min(r):.1f}-{max(r):.1f})"
        if name.startswith("kimi"):
            share = f"{100 * median(shares[name]):.0f} % of {median(bounds[name]):.0f}" if shares[name] else ""
            text += f" | {median(r) / best:.2f} | {share}" if best else f" | | {share}"
        cells.append(text)
    return f"| {threads} | {row} | " + " | ".join(cells) + " |"


def write(lines: list[str], args, before: str) -> None:
    """RESULTS.md, or another part of it after what was there before."""
    from machine import card

    from kimi_cpu.kernels import runtime

    kinds, flash = args.kv.split(","), [] if args.no_peer else args.flash.split(",")
    head = [f"kimi-cpu {kv} | ratio | share" for kv in kinds] + [f"llama.cpp, flash {f}" for f in flash]
    title = [
        "# Engine",
        "",
        "Written by benchmarks/engine.py: tokens a second, median (smallest-largest) of "
        f"{args.rounds} alternating runs; ratio to the faster llama.cpp.",
        "Share: of the memory bandwidth in GB/s that a reader gets just before and after (tg), or of the GMAC/s of the",
        "experts' kernel on 512 tokens just before (pp; attention's multiply-adds are counted too).",
        "",
    ]
    text = [
        *card(("numpy", "numba", "llama-cpp-python")),
        f"isa {runtime.isa().name}; {args.native.name}: {args.native.stat().st_size / 1e9:.2f} GB. "
        "llama.cpp repacks its weights for this CPU (its default), cache f16, filled with copies of 512 tokens.",
        "",
        "| threads | row | " + " | ".join(head) + " |",
        "|" + "--|" * (2 + 3 * len(kinds) + len(flash)),
        *lines,
    ]
    RESULTS.write_text(before + "\n".join(text if args.append else title + text) + "\n")


def serve(settings: dict) -> None:
    """A worker's life: questions on stdin, answers on stdout."""
    engine = {"kimi": Kimi, "llama": Llama, "machine": Machine}[settings["engine"]](settings)
    for line in sys.stdin:
        question = json.loads(line)
        answer = engine.row(question["row"])
        print(json.dumps(answer), flush=True)


class Machine:
    """What the machine can do right now: bytes a second from memory, multiply-adds of the experts' kernel.

    In a process of its own: a second thread that computes beside an engine's makes libgomp's threads, now more than the
    CPUs, sleep at once where they wait, and the engine 15 % slower.
    """

    def __init__(self, settings: dict):
        from kimi_cpu.kernels import cases, runtime
        from kimi_cpu.kernels.memory_reader import Reader

        self.threads = runtime.configure(settings["threads"])
        self.reader = Reader()
        self._case = cases.experts_gate_up("int4", True, 512, 24, 8, 2048, 7168)

    @cached_property
    def _arguments(self) -> tuple:
        """Of the experts' kernel: 0.6 GB, which only prompts need."""
        import numpy as np

        return self._case.build(np.random.default_rng(0)).arguments

    def row(self, row: str) -> dict:
        """What bounds a row."""
        answer = {"reader": 1e9 * median(self.reader.bandwidth(self.threads) for _ in range(3))}
        if row.startswith("pp"):
            from kimi_cpu import kernels

            arguments = self._arguments
            begin = time.perf_counter()
            kernels.experts_gate_up(*arguments)
            answer["macs"] = self._case.macs / (time.perf_counter() - begin)
        return answer


class Kimi:
    """This engine, through the Python API; batches through the engine itself."""

    def __init__(self, settings: dict):
        import numpy as np

        self.threads, self.path, self._settings = settings["threads"], settings["path"], settings
        self.llm = self.load()
        self._row, self._run = None, None
        self._np = np

    def load(self):
        """The model, with an empty cache."""
        import kimi_cpu

        return kimi_cpu.load(
            self.path,
            threads=self.threads,
            context=self._settings["context"],
            kv=self._settings["kv"],
            chunk=PROMPT_STEP,
            parallel=MAX_SEQUENCES,
            speculate=False,  # an untrained model repeats itself
            prompts_first=True,  # so that all sequences of a batched row generate at once
        )

    def row(self, row: str) -> dict:
        """Tokens a second of one run."""
        from kimi_cpu.bench import Row, prepare

        kind, count, depth = parse(row)
        if kind == "x":
            return {"rate": self._batched(count)}
        if self._row != row:
            self._row, self._run = row, prepare(self.llm, Row(kind, count, depth))
        rate = self._run()
        needs = self.llm.needs
        answer = {"rate": rate, "bytes": needs.token + depth * needs.cache_token}
        if kind == "pp":
            answer["macs"] = macs(self.llm.config, count, depth)
        return answer

    def _batched(self, sequences: int) -> float:
        """Tokens a second while all sequences generate: between the last one's first token and the first one's last."""
        times = [[] for _ in range(sequences)]

        def follow(own: list[float]) -> None:
            ids = self._ids(BATCH_DEPTH)
            for piece in self.llm.stream(ids, max_tokens=2 * BATCH_STEPS, temperature=0.0, ignore_eos=True):
                own.extend(time.perf_counter() for _ in piece.token_ids)

        threads = [Thread(target=follow, args=(own,)) for own in times]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begin, end = max(own[0] for own in times), min(own[-1] for own in times)
        return sum(begin < at <= end for own in times for at in own) / (end - begin)

    def _ids(self, count: int) -> list[int]:
        return self._np.random.default_rng().integers(0, self.llm.config.vocab_size, count).tolist()


def macs(config, count: int, depth: int) -> float:
    """Multiply-adds a token of a prompt: matrices that a token uses, and attention over what stands before it."""
    c = config
    heads, nope, rope, value = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim
    attention = c.hidden_size * (c.q_lora_rank + c.kv_lora_rank + rope) + c.q_lora_rank * heads * (nope + rope)
    attention += heads * value * c.hidden_size + c.kv_lora_rank * heads * (nope + value)
    pairs = depth + (count + 1) / 2
    total = 0.0
    for layer in range(c.num_hidden_layers):
        total += attention + pairs * heads * (nope + rope + value)
        if c.is_moe_layer(layer):
            experts = c.num_experts_per_tok + c.n_shared_experts
            total += 3 * experts * c.moe_intermediate_size * c.hidden_size + c.n_routed_experts * c.hidden_size
        else:
            total += 3 * c.intermediate_size * c.hidden_size
    return total


def repeated(state: bytes, tokens: int, depth: int) -> bytes:
    """llama.cpp's state of one sequence of `tokens`, made `depth` long. It holds, as little-endian integers: a magic
    number, 0, the number of streams (1) and of cells; a cell's position, 1 and 0; whether V is transposed, how many
    layers; for each layer the type (i32) and bytes (u64) of a token's row, and the rows. There is no V with MLA."""
    times = -(-depth // tokens)
    head, at = state[:12] + struct.pack("<I", depth), 16 + 12 * tokens
    cells = b"".join(struct.pack("<iIi", position, 1, 0) for position in range(depth))
    parts = [head, cells, state[at : at + 8]]
    layers = struct.unpack_from("<I", state, at + 4)[0]
    at += 8
    for _ in range(layers):
        row = struct.unpack_from("<Q", state, at + 4)[0]
        rows = state[at + 12 : at + 12 + tokens * row]
        parts += [state[at : at + 12], (rows * times)[: depth * row]]
        at += 12 + tokens * row
    if at != len(state):
        raise SystemExit("llama.cpp's state has a layout that this program does not know")
    return b"".join(parts)


class Llama:
    """llama.cpp through llama-cpp-python's low-level functions, measured as llama-bench measures."""

    def __init__(self, settings: dict):
        import llama_cpp
        import numpy as np

        self.api, self.np = llama_cpp, np
        llama_cpp.llama_backend_init()
        self._log = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._log, None)
        model = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(settings["path"].encode(), model)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = max(settings["context"], 128 * MAX_SEQUENCES)
        context.n_batch = context.n_ubatch = PROMPT_STEP
        context.n_threads = context.n_threads_batch = settings["threads"]
        context.n_seq_max, context.kv_unified = MAX_SEQUENCES, True
        context.flash_attn_type = 1 if settings["flash"] == "on" else 0
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(PROMPT_STEP, 0, 1)
        self.depth = 0

    def row(self, row: str) -> dict:
        """Tokens a second of one run."""
        kind, count, depth = parse(row)
        if kind == "x":
            return {"rate": self._batched(count)}
        if self.depth != depth:
            self._fill(depth)
            self.depth = depth
        self.api.llama_memory_seq_rm(self.memory, 0, depth, -1)
        if kind == "pp":
            begin = time.perf_counter()
            self._prompt(count, depth)
        else:
            self._step([(0, depth)])
            begin = time.perf_counter()
            for i in range(count):
                self._step([(0, depth + 1 + i)])
        seconds = time.perf_counter() - begin
        self.api.llama_memory_seq_rm(self.memory, 0, depth, -1)
        return {"rate": count / seconds}

    def _batched(self, sequences: int) -> float:
        self.api.llama_memory_clear(self.memory, True)
        self.depth = 0
        for s in range(sequences):
            self._prompt(BATCH_DEPTH, 0, s)
        self._step([(s, BATCH_DEPTH) for s in range(sequences)])
        begin = time.perf_counter()
        for i in range(BATCH_STEPS):
            self._step([(s, BATCH_DEPTH + 1 + i) for s in range(sequences)])
        seconds = time.perf_counter() - begin
        self.api.llama_memory_clear(self.memory, True)
        return sequences * BATCH_STEPS / seconds

    def _fill(self, depth: int) -> None:
        """A sequence of `depth` tokens. All after the first step are copies of it: what a cache holds does not change a
        step's time, and to compute 16,384 tokens takes llama.cpp half an hour on two cores."""
        self.api.llama_memory_clear(self.memory, True)
        some = min(depth, PROMPT_STEP)
        self._prompt(some, 0)
        if some < depth:
            size = self.api.llama_state_seq_get_size(self.context, 0)
            state = (ctypes.c_uint8 * size)()
            self.api.llama_state_seq_get_data(self.context, state, size, 0)
            more = repeated(bytes(state), some, depth)
            self.api.llama_memory_clear(self.memory, True)
            state = (ctypes.c_uint8 * len(more)).from_buffer_copy(more)
            if self.api.llama_state_seq_set_data(self.context, state, len(more), 0) != len(more):
                raise SystemExit("llama.cpp does not take the state")
        assert self.api.llama_memory_seq_pos_max(self.memory, 0) == depth - 1

    def _prompt(self, count: int, start: int, sequence: int = 0) -> None:
        """Random tokens; logits of the last one."""
        for first in range(0, count, PROMPT_STEP):
            size = min(PROMPT_STEP, count - first)
            self._decode([(sequence, start + first + i, first + i == count - 1) for i in range(size)])

    def _step(self, tokens: list[tuple[int, int]]) -> None:
        self._decode([(sequence, position, True) for sequence, position in tokens])

    def _decode(self, tokens: list[tuple[int, int, bool]]) -> None:
        batch, ids = self.batch, self.np.random.randint(0, self.vocab, len(tokens))
        batch.n_tokens = len(tokens)
        for i, (sequence, position, logits) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(ids[i]), position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, logits
        if self.api.llama_decode(self.context, batch):
            raise SystemExit("llama_decode failed")
        self.api.llama_synchronize(self.context)


if __name__ == "__main__":
    main()
