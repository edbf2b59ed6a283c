"""The instruction sets that micro-kernels are generated for, and how they become machine code.

All micro-kernels of a tier are one LLVM module, compiled once; its object file is kept in the cache. Only this file,
simd.py and micro/ know an instruction set.
"""

import platform
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from .code_cache import Entry
from .simd import Emitter, Isa

V3 = "x86-64-v3"
DOTPROD = "+neon,+dotprod"  # no SVE: its code gave wrong dot products for some vector lengths under emulation
I8MM = DOTPROD + ",+i8mm"
ARM = ("aarch64", "arm64")
TIERS = (  # best first: name, lanes, dot, int8_tile, f32_tile, int8_pair
    Isa("avx512-vnni", 16, "vnni", 16, 8, 12, needs=("avx512vnni", "avx512bw", "avx512vl", "avx512dq")),
    Isa("avx-vnni", 8, "vnni", 12, 4, needs=("avx2", "fma", "f16c", "avxvnni"), cpu=V3, features="+avxvnni"),
    Isa("avx2", 8, "maddubs", 12, 4, needs=("avx2", "fma", "f16c"), cpu=V3, features=""),
    Isa("neon-i8mm", 4, "smmla", 4, 4, needs=("neon", "dotprod", "i8mm"), cpu="generic", features=I8MM, arch=ARM),
    Isa("neon-dotprod", 4, "sdot", 4, 4, needs=("neon", "dotprod"), cpu="generic", features=DOTPROD, arch=ARM),
    Isa("portable", 4, "generic", 4, 4, cpu="generic", features="", fma=False, half=False, arch=()),
)
BY_NAME = {tier.name: tier for tier in TIERS}
AUXILIARY = Path("/proc/self/auxv")
HWCAP, HWCAP2 = 16, 26  # Linux, include/uapi/linux/auxvec.h
ARM_BITS = {"neon": (HWCAP, 1), "dotprod": (HWCAP, 20), "i8mm": (HWCAP2, 13)}  # arch/arm64/include/uapi/asm/hwcap.h


def supported(machine: str, features: dict[str, bool]) -> list[Isa]:
    """The tiers that a machine (platform.machine(), LLVM's feature map) can run, best first."""
    fits = [t for t in TIERS if machine in t.arch and all(features.get(name) for name in t.needs)]
    return [*fits, BY_NAME["portable"]]


def host_tiers() -> list[Isa]:
    """The tiers that this machine runs, best first."""
    return supported(platform.machine().lower(), host_features())


def host_features() -> dict[str, bool]:
    """LLVM's names of what this CPU has. On ARM Linux they are asked of the system: LLVM guesses from /proc/cpuinfo."""
    llvm.initialize_native_target()
    features = dict(llvm.get_host_cpu_features())
    if platform.machine().lower() in ("aarch64", "arm64") and AUXILIARY.exists():
        words = np.frombuffer(AUXILIARY.read_bytes(), np.uint64).reshape(-1, 2)
        values = {int(key): int(value) for key, value in words}
        for name, (key, bit) in ARM_BITS.items():
            features[name] = bool(values.get(key, 0) >> bit & 1)
    return features


class Micro:
    """A micro-kernel: its name, a letter for each argument (i or f, see Emitter), and the function that writes it."""

    __slots__ = ("arguments", "body", "name")

    def __init__(self, name: str, arguments: str, body: Callable[..., None]):
        self.name, self.arguments, self.body = name, arguments, body


def emit(micros: list[Micro], isa: Isa, triple: str) -> str:
    """The LLVM IR of micro-kernels for a tier."""
    module = ir.Module(isa.name)
    module.triple = triple
    for micro in micros:
        emitter = Emitter(module, micro.name, micro.arguments, isa)
        micro.body(emitter, *emitter.arguments)
        emitter.end()
    return str(module)


def target_machine(isa: Isa, triple: str | None = None) -> llvm.TargetMachine:
    """LLVM's code generator for a tier on this machine, or on another architecture's triple."""
    if triple is not None:
        features = ",".join("+" + name for name in isa.needs)
        target = llvm.Target.from_triple(triple)
        return target.create_target_machine(cpu=isa.cpu or "generic", features=features, opt=3, reloc="pic", jit=False)
    cpu = isa.cpu or llvm.get_host_cpu_name()
    if isa.features is None:
        features = llvm.get_host_cpu_features().flatten()
    else:
        features = isa.features
    if cpu == "generic" and platform.machine().lower() in ("x86_64", "amd64"):
        cpu = "x86-64"
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )


def optimise(text: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """IR parsed, verified and optimised. Tiles are unrolled by hand: LLVM must neither unroll nor vectorise them."""
    module = llvm.parse_assembly(text)
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


class Library:
    """Loaded machine code of a tier, and the addresses of its micro-kernels. It stays loaded as long as the object."""

    def __init__(self, isa: Isa, micros: list[Micro], names: list[str], entry: Entry):
        """`addresses` i64[len(names)]: in the order of names, 0 where the tier has none. entry: keeps the code."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.isa = isa
        machine = target_machine(isa)
        code = entry.read()
        if code is None:
            code = machine.emit_object(optimise(emit(micros, isa, llvm.get_process_triple()), machine))
            entry.write(code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.addresses = np.zeros(len(names), np.int64)
        for micro in micros:
            self.addresses[names.index(micro.name)] = self._engine.get_function_address(micro.name)
