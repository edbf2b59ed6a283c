"""What tiers of other machines compile to: their matmul tiles use the instructions that they are named for."""

import llvmlite.binding as llvm
import pytest

from kimi_cpu.kernels import micro
from kimi_cpu.kernels.codegen.native import BY_NAME, emit, optimise, target_machine
from kimi_cpu.kernels.micro import matmul

LINUX = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}


def assembly(tier, triple, chosen):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = target_machine(tier, triple)
    return machine.emit_assembly(optimise(emit(chosen, tier, triple), machine))


@pytest.mark.parametrize(
    ("name", "kind", "tokens", "instruction", "least"),
    [
        ("avx512-vnni", "int4", 16, "vpdpbusd", 128),
        ("avx512-vnni", "q8", 16, "vpdpbusd", 128),
        ("avx-vnni", "int4", 4, "vpdpbusd", 16),
        ("avx2", "int4", 4, "vpmaddubsw", 16),
        ("avx2", "q8", 4, "vpsignb", 8),
        ("neon-dotprod", "int4", 4, "sdot", 128),
        ("neon-dotprod", "q8", 4, "sdot", 128),
        ("neon-i8mm", "int4", 4, "smmla", 64),
        ("neon-i8mm", "q8", 4, "smmla", 64),
        ("neon-i8mm", "q8", 1, "sdot", 32),
    ],
)
def test_tile_multiplies_with_its_tiers_instruction(name, kind, tokens, instruction, least):
    tier = BY_NAME[name]
    text = assembly(tier, LINUX[tier.arch[0]], [matmul.int8_tile(kind, tokens)])
    assert text.count(instruction) >= least


@pytest.mark.parametrize("name", ["avx2", "avx-vnni"])
@pytest.mark.parametrize("kind", ["int4", "q8"])
def test_little_is_kept_in_memory_with_16_registers(name, kind):
    tier = BY_NAME[name]
    text = assembly(tier, LINUX["x86_64"], [matmul.int8_tile(kind, 4)])
    assert text.count("(%rsp)") < 64  # of the sums between groups; it was 180 with every broadcast among them


@pytest.mark.parametrize("name", ["neon-i8mm", "portable"])
def test_tier_compiles_for_aarch64_without_calls(name):
    tier = BY_NAME[name]
    chosen = [m for m in micro.micros(tier) if not m.name.startswith("tile_") or m.name.endswith("_3")]
    text = assembly(tier, LINUX["aarch64"], chosen)
    assert "\tbl\t" not in text  # all of it is in registers: no library function is needed
