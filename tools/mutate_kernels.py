"""Changes every number in the micro-kernels' sources, one at a time, and reports the changes that no test notices.

    nice python tools/mutate_kernels.py [--only micro/rows] [--list] [--from N] [--seconds 90]

An integer n becomes n + 1, a float x becomes x * (1 + 2^-7). Only micro-kernels whose LLVM IR changes are compiled
again, for one tier of this machine after the other until the change is noticed, and tests/kernels runs on them in a
child process; a crash or a hang is noticed, too. A change that leaves all IR the same is counted as "not here" (it
concerns other tiers). Numbers that only say what is fetched early, or how much at a time, are not changed: no result
depends on them.
"""

import argparse
import ast
import importlib
import importlib.machinery
import os
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

import llvmlite.binding as llvm
import pytest

import kimi_cpu.kernels
from kimi_cpu.kernels import micro, runtime
from kimi_cpu.kernels.codegen import jit
from kimi_cpu.kernels.codegen.code_cache import Entry
from kimi_cpu.kernels.codegen.native import host_tiers
from kimi_cpu.kernels.codegen.simd import Isa

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "kimi_cpu" / "kernels"
SOURCES = ("codegen/simd", "micro/matmul", "micro/products", "micro/rows", "micro/attention")
# Names of numbers and functions.
ONLY_SPEED = {"LOCALITY", "QUERY_BYTES", "prefetch", "_prefetch", "prefetch_share"}
MUTANT = "kimi_cpu.kernels_mutant"
TESTS = [str(ROOT / "tests/kernels" / f"test_{name}.py") for name in ("micros", "extremes", "cases")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SOURCES, help="one source file")
    parser.add_argument("--from", type=int, default=0, dest="first", help="skip the first N changes")
    parser.add_argument("--list", action="store_true", help="only list the changes")
    parser.add_argument("--seconds", type=int, default=90, help="after which a test run counts as hanging")
    options = parser.parse_args()
    truth = {tier.name: texts(micro, tier) for tier in host_tiers()}
    for kernel in jit.KERNELS:
        kernel.compile()
    for tier in host_tiers():
        runtime.select(tier.name)
    sources = [source for source in SOURCES if options.only in (None, source)]
    for source in sources:  # a copy that could not be generated would look like a change that is noticed
        copy = load(source, compile((KERNELS / f"{source}.py").read_text(), f"{source}.py", "exec"))
        assert all(texts(copy, tier) == truth[tier.name] for tier in host_tiers()), source
    counts = {"noticed": 0, "not here": 0, "SURVIVED": 0}
    for number, (source, line, text, tree) in enumerate(changes(sources)):
        if number < options.first:
            continue
        verdict = "listed" if options.list else judge(source, tree, truth, options.seconds)
        counts[verdict] = counts.get(verdict, 0) + 1
        print(f"{number}: {verdict}", end="\r", file=sys.stderr, flush=True)
        if verdict in ("SURVIVED", "listed"):
            print(f"{number}: {verdict}: {source}.py:{line}: {text}", flush=True)
    print(", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    sys.exit(counts["SURVIVED"] > 0)


def changes(sources: list[str]) -> Iterator[tuple[str, int, str, ast.Module]]:
    """(source, line, what changes, the changed tree) for every number in the sources."""
    for source in sources:
        text = (KERNELS / f"{source}.py").read_text()
        tree = ast.parse(text)
        for node in numbers(tree):
            before = node.value
            node.value = before + 1 if isinstance(before, int) else before * (1 + 2**-7)
            yield (
                source,
                node.lineno,
                f"{before!r} -> {node.value!r} in: {text.splitlines()[node.lineno - 1].strip()}",
                tree,
            )
            node.value = before


def numbers(tree: ast.AST) -> Iterator[ast.Constant]:
    """The numbers that results depend on."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.FunctionDef(name=name) if name in ONLY_SPEED:
                continue
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node
        yield from numbers(node)


def judge(source: str, tree: ast.Module, truth: dict, limit: int) -> str:
    """The verdict on one change: tier by tier, until one notices it."""
    verdict = "not here"
    try:
        mutant = load(source, compile(tree, f"{source}.py", "exec"))
        for tier in host_tiers():
            changed = [n for n, text in texts(mutant, tier).items() if truth[tier.name].get(n) != text]
            if changed and not passes(mutant, tier, changed, limit):
                return "noticed"
            if changed:
                verdict = "SURVIVED"
    except Exception:
        return "noticed"  # it does not even generate code
    return verdict


def passes(mutant: types.ModuleType, tier: Isa, changed: list[str], limit: int) -> bool:
    """Whether a tier's tests pass, in a child process, with the changed micro-kernels."""
    child = os.fork()
    if child == 0:
        run_tests(mutant, tier, changed)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def texts(module: types.ModuleType, tier) -> dict[str, str]:
    """IR of each micro-kernel of a tier by name; equal code has equal text."""
    whole = native_of(module).emit(module.micros(tier), tier, llvm.get_process_triple())
    parts = whole.split("define ")[1:]
    return {part.split("(", 1)[0].split("@")[-1].strip('"'): part for part in parts}


def native_of(module: types.ModuleType) -> types.ModuleType:
    """codegen/native.py of the package that a `micro` package belongs to: it brings that package's Emitter."""
    return importlib.import_module("..codegen.native", module.__package__)


class Changed:
    """Imports one module from changed code (a finder and loader of importlib.abc)."""

    def __init__(self, name: str, code: types.CodeType):
        self.name, self.code = name, code

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """The usual kind of module."""

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self.code, module.__dict__)


def load(source: str, code: types.CodeType) -> types.ModuleType:
    """The `micro` package of a copy of the package in which one source is changed."""
    for name in [n for n in sys.modules if n.startswith(MUTANT)]:
        del sys.modules[name]
    package = types.ModuleType(MUTANT)
    package.__path__ = [str(KERNELS)]
    sys.modules[MUTANT] = package
    changed = Changed(f"{MUTANT}.{source.replace('/', '.')}", code)
    sys.meta_path.insert(0, changed)
    try:
        return importlib.import_module(f"{MUTANT}.micro")
    finally:
        sys.meta_path.remove(changed)


def run_tests(mutant: types.ModuleType, tier: Isa, changed: list[str]) -> None:
    """In the child: puts the changed machine code in place and ends with the exit code of the tests of the tier."""
    status = 1
    try:
        chosen = [m for m in mutant.micros(tier) if m.name in changed]
        names = [m.name for m in chosen]
        library = native_of(mutant).Library(tier, chosen, names, Entry(None))
        target = runtime.select(tier.name).addresses
        for name, address in zip(names, library.addresses, strict=True):
            target[micro.INDEX[name]] = address
        runtime.select()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        others = " and ".join(f"not {other.name}" for other in host_tiers() if other.name != tier.name)
        status = int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", others, *TESTS]) != 0)
    finally:
        os._exit(status)


if __name__ == "__main__":
    assert kimi_cpu.kernels.__file__.startswith(str(ROOT)), "run it with this repository's package"
    main()
