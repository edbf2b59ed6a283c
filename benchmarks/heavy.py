"""Heavy mode: what it gains on questions that the bundled model often gets wrong, and what it costs at K2's widths.

    python benchmarks/heavy.py gain [--questions 200] [--at-once 200] [--heavy 8] [--write]
    python benchmarks/heavy.py slice FILE
    python benchmarks/heavy.py cost FILE [--rounds 5] [--heavy 8] [--write]

gain: held-out questions of TASK of the curriculum of tools/train_demo, at temperature 1. An answer is right when it has
what the task's own test wants. Each question is put to one trajectory, as often as heavy mode has trajectories and with
other seeds, and to heavy mode once. The gain is the mean over the questions of (heavy mode is right) - (share of single
trajectories that are right), with the interval that 95 % of such means are in.
With --write it goes on behind the questions that results-heavy.json has, at most --at-once of them in a call; without
its "gain" it begins anew.

slice: makes a model of one layer of K2's widths with 384 experts, of half of K2's expert width so that it has 5 GB;
random weights, even routing, a tokenizer of bytes. cost: its single trajectories and heavy mode take turns, on prompts
that are new each time; a schema asks for so many letters, so that all answers are as long, and no two the same. Times
from the first token on, the reflection apart.

--write puts the part in results-heavy.json, from which results-heavy.md is written.
"""

import argparse
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from shutil import rmtree
from statistics import mean, median, stdev

from machine import card_of, facts, spread

import kimi_cpu

sys.path.append(str(Path(__file__).parents[1]))
from tools import make_byte_tokenizer, make_slice
from tools.train_demo.curriculum import Example, held_out

HERE = Path(__file__).parent
RESULTS = HERE / "results-heavy.json"
TASK = "papers"  # a question over a message, a table, a list, instructions
KEPT_AT = 20  # questions after which results are written
PROMPT_TOKENS, LETTERS = 512, 96
SLICE = {"layers": 1, "experts": 384, "expert_width": 1024, "vocab": 512}
SCHEMA = {
    "type": "array",
    "items": {"type": "string", "pattern": f"^[a-z]{{{LETTERS}}}$"},
    "minItems": 1,
    "maxItems": 1,
}
FORM = {"type": "json_schema", "json_schema": {"name": "letters", "schema": SCHEMA}}
K2 = make_slice.CONFIG | {"experts": 384}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=("gain", "slice", "cost"))
    parser.add_argument("file", type=Path, nargs="?", help="the slice")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=200, help="questions in this call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--heavy", type=int, default=8)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.part != "gain" and args.file is None:
        parser.error("name the slice's file")
    if args.part == "slice":
        write_slice(args.file)
        return
    if args.part == "cost":
        put(args.part, cost(args.file, args.rounds, args.heavy), args.write)
        return
    rows = known().get("gain", {}).get("rows", []) if args.write else []
    end = min(args.questions, len(rows) + args.at_once)
    while len(rows) < end:  # what is there is kept when a call is ended early
        rows += gain(len(rows), min(len(rows) + KEPT_AT, end), args.heavy)
        put(args.part, {"heavy": args.heavy, "rows": rows}, args.write)


def is_right(example: Example, content: str | None) -> bool:
    """Whether an answer has all that it must have."""
    return all(answer in (content or "") for answer in example.answers)


def gain(first: int, end: int, heavy: int) -> list[tuple[float, bool, bool, str]]:
    """Of each question from one number to another: the share of single trajectories that are right, whether the vote
    and heavy mode are, and how heavy mode came to its answer."""
    rows = []
    with kimi_cpu.load() as llm:
        for number, example in enumerate(held_out(TASK, end)[first:], first):
            messages, seed = example.messages[:1], 1000 * number
            singles = [handle.result() for handle in llm.samples(messages, heavy, seed=seed, temperature=1.0)]
            share = mean(is_right(example, answer.content) for answer in singles)
            turn = llm.chat(messages, heavy=heavy, seed=seed + 500, temperature=1.0)
            vote = bool(turn.heavy.votes) and is_right(example, turn.heavy.votes[0][0])
            rows.append((share, vote, is_right(example, turn.content), turn.heavy.by))
    return rows


def write_slice(path: Path) -> None:
    """Makes the model file; the checkpoint that it is made of is gone after."""
    folder = path.with_name(path.name + ".hf")
    config = make_slice.slice_config(**SLICE) | {"first_k_dense_replace": 0}
    make_slice.write(folder, config, seed=0, router_bias=0.0)
    make_byte_tokenizer.main(folder)
    kimi_cpu.convert(folder, path)
    rmtree(folder)


def cost(path: Path, rounds: int, heavy: int) -> dict:
    """Seconds of each round, and what was computed of prompts."""
    rng = random.Random(0)
    options = {"no_think": True, "response_format": FORM, "temperature": 1.0}
    found: dict[str, list[float]] = {name: [] for name in ("prompt_s", "single_s", "trajectories_s", "reflection_s")}
    with kimi_cpu.load(path, context=4096, speculate=False, read_ahead=False) as llm:
        for number in range(rounds + 1):
            prompts = ["".join(rng.choices("abcdefgh ", k=PROMPT_TOKENS)) for _ in range(2)]
            one = llm.chat([{"role": "user", "content": prompts[0]}], seed=number, **options)
            handle = llm.submit([{"role": "user", "content": prompts[1]}], seed=number, heavy=heavy, **options)
            turn = handle.result()
            report = turn.heavy
            assert {x.tokens for x in report.trajectories} == {one.usage.completion_tokens}, "lengths differ"
            assert report.by == "aggregation" and report.aggregation is not None, report
            if not number:
                continue  # the first one warms up
            first_s = turn.timings.prefill_s
            found["single_s"].append(one.timings.decode_s)
            found["trajectories_s"].append(report.trajectories_s - first_s)
            found["reflection_s"].append(report.aggregation_s)
            found["prompt_s"].append(first_s)
            cached_of = sorted(x.turn.usage.cached_tokens for x in handle._tracks)
            tokens = {
                "tokens": one.usage.completion_tokens,
                "prompt": handle.num_prompt_tokens,
                "prompt_computed": sum(handle.num_prompt_tokens - cached for cached in cached_of),
                "reflection_prompt": report.aggregation.prompt_tokens,
                "reflection_cached": report.aggregation.cached_tokens,
                "reflection_tokens": report.aggregation.completion_tokens,
            }
        token_bytes = llm.needs.token
        expert_bytes = llm.needs.token_experts // llm.config.num_experts_per_tok
    ratios = [b / a for a, b in zip(found["single_s"], found["trajectories_s"], strict=True)]
    experts = expected_experts(heavy, SLICE["experts"], 8)
    return {
        "heavy": heavy,
        "rounds": rounds,
        **found,
        "ratio": median(ratios),
        "ratios": ratios,
        **tokens,
        "experts": experts,
        "bytes_ratio": 1 + (experts - 8) * expert_bytes / token_bytes,
        "k2_bytes_ratio": k2_ratio(heavy),
    }


def expected_experts(sequences: int, experts: int, chosen: int) -> float:
    """Experts that a step of so many sequences needs, when each chooses some of them evenly."""
    return experts * (1 - (1 - chosen / experts) ** sequences)


def k2_ratio(heavy: int) -> float:
    """How many times the bytes of one trajectory's step a step of several reads, at a layer of K2's own shapes: experts
    of 4.5 bits a weight, and 8.5 for the rest."""
    hidden, heads, width = K2["hidden_size"], K2["num_attention_heads"], K2["moe_intermediate_size"]
    latent, rope, chosen = K2["kv_lora_rank"], K2["qk_rope_head_dim"], K2["num_experts_per_tok"]
    dense = K2["q_lora_rank"] * (hidden + heads * (K2["qk_nope_head_dim"] + rope)) + hidden * (latent + rope)
    dense += heads * latent * (K2["qk_nope_head_dim"] + K2["v_head_dim"]) + heads * K2["v_head_dim"] * hidden
    dense_bytes, expert_bytes = (dense + 3 * hidden * width) * 8.5 / 8, 3 * hidden * width * 4.5 / 8
    needed = expected_experts(heavy, K2["experts"], chosen)
    return (dense_bytes + needed * expert_bytes) / (dense_bytes + chosen * expert_bytes)


def known() -> dict:
    """The results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def put(part: str, figures: dict, writes: bool) -> None:
    """Shows a part of the results; or replaces it in them, and writes the tables anew."""
    figures |= {"machine": facts(("numpy", "numba"))}
    if not writes:
        print(*tables({part: figures}), sep="\n", flush=True)
        return
    results = known() | {part: figures}
    for path, text in (
        (RESULTS, json.dumps(results, indent=1) + "\n"),
        (RESULTS.with_suffix(".md"), "\n".join(tables(results)) + "\n"),
    ):
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        os.replace(new, path)


def tables(results: dict) -> list[str]:
    """Lines of Markdown."""
    lines = ["# Heavy mode", "", "Written by benchmarks/heavy.py, whose docstring says what is measured."]
    if g := results.get("gain"):
        single, vote, whole, by = zip(*g["rows"], strict=True)
        gains = [b - a for a, b in zip(single, whole, strict=True)]
        ways = ", ".join(f"{count} by {way}" for way, count in sorted(Counter(by).items()))
        lines += [
            "",
            "## What it gains",
            "",
            f"The bundled model, temperature 1, {len(gains)} held-out questions of the task {TASK}.",
            "",
            f"| one trajectory | vote of {g['heavy']} alone | heavy {g['heavy']} | gain, 95 % interval |",
            "|---:|---:|---:|---:|",
            f"| {mean(single):.1%} | {mean(vote):.1%} | {mean(whole):.1%} | "
            f"{100 * mean(gains):+.1f} ± {196 * stdev(gains) / len(gains) ** 0.5:.1f} points |",
            "",
            f"Answers: {ways}. The bundled model was never taught to reflect on answers.",
            "",
            *card_of(g["machine"]),
        ]
    if c := results.get("cost"):
        lines += [
            "",
            "## What it costs",
            "",
            f"One layer of K2's widths, {SLICE['experts']} experts of width {SLICE['expert_width']}, even routing; "
            f"prompts of {c['prompt']} tokens, of which all trajectories together computed {c['prompt_computed']}; "
            f"answers of {c['tokens']}; {c['rounds']} rounds: median (least-most).",
            "",
            "| | seconds |",
            "|---|---:|",
            f"| prompt, once for all | {spread(c['prompt_s'], 2)} |",
            f"| one trajectory | {spread(c['single_s'], 2)} |",
            f"| {c['heavy']} trajectories | {spread(c['trajectories_s'], 2)} |",
            f"| reflection: {c['reflection_prompt']} tokens of which {c['reflection_cached']} were computed, "
            f"and an answer of {c['reflection_tokens']} | {spread(c['reflection_s'], 2)} |",
            "",
            f"{c['heavy']} trajectories take {c['ratio']:.2f} ({min(c['ratios']):.2f}-{max(c['ratios']):.2f}) times as "
            f"long as one. A step of {c['heavy']} needs about {c['experts']:.0f} experts where one needs 8, and reads "
            f"{c['bytes_ratio']:.2f} times the bytes here, {c['k2_bytes_ratio']:.2f} times at K2's own shapes.",
            "",
            *card_of(c["machine"]),
        ]
    return lines


if __name__ == "__main__":
    main()
