"""The instruction sets that micro-kernels are generated for. The only file that names them, with simd.py."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Isa:
    """One tier: how wide a register is, how integers are multiplied, and how large a matmul tile may be.

    cpu and features are LLVM's; None stands for the machine's own. needs: LLVM feature names a machine must have.
    """

    name: str
    lanes: int  # 32-bit values in one register
    dot: str  # "vnni", "maddubs", "smmla", "sdot" or "generic": how 4 bytes are multiplied and summed
    int8_tile: int  # tokens in one tile of an int8 matmul: accumulators and weights together fill the registers
    f32_tile: int
    needs: tuple[str, ...] = ()
    cpu: str | None = None
    features: str | None = None
    fma: bool = True
    half: bool = True  # converts f16 in registers
    arch: tuple[str, ...] = field(default=("x86_64",))


V3 = "x86-64-v3"
DOTPROD = "+neon,+dotprod"  # no SVE: its code gave wrong dot products for some vector lengths under emulation
I8MM = DOTPROD + ",+i8mm"
TIERS = (  # best first
    Isa("avx512-vnni", 16, "vnni", 16, 8, needs=("avx512vnni", "avx512bw", "avx512vl", "avx512dq")),
    Isa("avx-vnni", 8, "vnni", 4, 4, needs=("avx2", "fma", "f16c", "avxvnni"), cpu=V3, features="+avxvnni"),
    Isa("avx2", 8, "maddubs", 4, 4, needs=("avx2", "fma", "f16c"), cpu=V3, features=""),
    Isa(
        "neon-i8mm",
        4,
        "smmla",
        4,
        4,
        needs=("neon", "dotprod", "i8mm"),
        cpu="generic",
        features=I8MM,
        arch=("aarch64", "arm64"),
    ),
    Isa(
        "neon-dotprod",
        4,
        "sdot",
        4,
        4,
        needs=("neon", "dotprod"),
        cpu="generic",
        features=DOTPROD,
        arch=("aarch64", "arm64"),
    ),
    Isa("portable", 4, "generic", 4, 4, cpu="generic", features="", fma=False, half=False, arch=()),
)
BY_NAME = {tier.name: tier for tier in TIERS}


def supported(machine: str, features: dict[str, bool]) -> list[Isa]:
    """The tiers that a machine (platform.machine(), LLVM's feature map) can run, best first."""
    fits = [t for t in TIERS if machine in t.arch and all(features.get(name) for name in t.needs)]
    return [*fits, BY_NAME["portable"]]
