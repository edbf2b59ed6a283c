"""SIMD registers as Python values: arithmetic on them writes LLVM IR.

`Vec` wraps one LLVM value (a scalar or a register) and has the operators; `Emitter` has what needs memory, control flow
or a function of LLVM. A micro-kernel (micro/) is a plain function of an Emitter: unrolling is a Python loop, a tile is
a list of Vec, and the same text serves every tier (an Isa; the table is in native.py).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

I8, I16, I32, I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
F16, F32, PTR = ir.HalfType(), ir.FloatType(), ir.PointerType()
ROUND = 12582912.0  # 1.5 * 2^23: adding and subtracting it rounds |x| < 2^22 to the nearest integer, ties to even

LOCALITY = {"L1": 3, "L2": 2, "once": 0}  # llvm.prefetch's: where a line is to go; once: it will not be used again


def vector(element: ir.Type, lanes: int) -> ir.Type:
    """The type of a register."""
    return ir.VectorType(element, lanes)


@dataclass(frozen=True)
class Isa:
    """A tier: how wide its registers are, how it multiplies integers, and how large a tile of a matmul may be.

    cpu, features: LLVM's; None stands for the machine's own. needs: LLVM's names of features that a machine must have.
    arch: platform.machine() of the machines it runs on.
    """

    name: str
    lanes: int  # 32-bit values in one register
    dot: str  # "vnni", "maddubs", "smmla", "sdot" or "generic": how 4 bytes are multiplied and summed
    int8_tile: int  # tokens in one tile of an int8 matmul: accumulators and weights together fill the registers
    f32_tile: int
    int8_pair: int = 0  # tokens in one tile of two row blocks; 0: there are none
    needs: tuple[str, ...] = ()
    cpu: str | None = None
    features: str | None = None
    fma: bool = True
    half: bool = True  # converts between f16 and f32 in registers
    arch: tuple[str, ...] = ("x86_64",)


class Vec:
    """One LLVM value. Operators work lane by lane; a Python number is taken as a constant of the same type."""

    __slots__ = ("e", "v")

    def __init__(self, emitter: "Emitter", value: ir.Value):
        self.e, self.v = emitter, value

    @property
    def type(self) -> ir.Type:
        return self.v.type

    @property
    def element(self) -> ir.Type:
        """Type of one lane."""
        return self.type.element if isinstance(self.type, ir.VectorType) else self.type

    @property
    def lanes(self) -> int:
        return self.type.count if isinstance(self.type, ir.VectorType) else 1

    def _binary(self, other: "Vec | int | float", integer: str, real: str) -> "Vec":
        rhs = other.v if isinstance(other, Vec) else self.e.constant(self.type, other).v
        return Vec(self.e, getattr(self.e.b, integer if isinstance(self.element, ir.IntType) else real)(self.v, rhs))

    def __add__(self, other):
        return self._binary(other, "add", "fadd")

    def __sub__(self, other):
        return self._binary(other, "sub", "fsub")

    def __mul__(self, other):
        return self._binary(other, "mul", "fmul")

    def __truediv__(self, other):
        return self._binary(other, "sdiv", "fdiv")

    def __and__(self, other):
        return self._binary(other, "and_", "")

    def __or__(self, other):
        return self._binary(other, "or_", "")

    def __xor__(self, other):
        return self._binary(other, "xor", "")

    def __lshift__(self, other):
        return self._binary(other, "shl", "")

    def __rshift__(self, other):
        """Logical shift."""
        return self._binary(other, "lshr", "")

    def sar(self, other):
        """Arithmetic shift right."""
        return self._binary(other, "ashr", "")

    def compare(self, op: str, other: "Vec | int | float") -> "Vec":
        """A mask. op: "<", "<=", "==", "!=", ">" or ">="; integers are signed; with NaN only != is true."""
        rhs = other.v if isinstance(other, Vec) else self.e.constant(self.type, other).v
        if isinstance(self.element, ir.IntType):
            return Vec(self.e, self.e.b.icmp_signed(op, self.v, rhs))
        return Vec(self.e, (self.e.b.fcmp_unordered if op == "!=" else self.e.b.fcmp_ordered)(op, self.v, rhs))

    def where(self, yes: "Vec | float", no: "Vec | float") -> "Vec":
        """`yes` where this mask is set, else `no`; at least one of them is a Vec."""
        shape = yes.type if isinstance(yes, Vec) else no.type
        values = (x.v if isinstance(x, Vec) else self.e.constant(shape, x).v for x in (yes, no))
        return Vec(self.e, self.e.b.select(self.v, *values))

    def minimum(self, other: "Vec | float") -> "Vec":
        """The smaller; `self` where either is NaN."""
        other = other if isinstance(other, Vec) else self.e.constant(self.type, other)
        return other.compare("<", self).where(other, self)

    def maximum(self, other: "Vec | float") -> "Vec":
        """The larger; `self` where either is NaN."""
        other = other if isinstance(other, Vec) else self.e.constant(self.type, other)
        return other.compare(">", self).where(other, self)

    def bits(self, element: ir.Type) -> "Vec":
        """The same bits as lanes of another type."""
        width = {F32: 32, F16: 16}.get(self.element) or self.element.width
        new = {F32: 32, F16: 16}.get(element) or element.width
        lanes = self.lanes * width // new
        return Vec(self.e, self.e.b.bitcast(self.v, element if lanes == 1 else vector(element, lanes)))

    def to(self, element: ir.Type, signed: bool = True) -> "Vec":
        """Lanes converted: integers are extended (by sign or zero) or cut, floats become integers towards 0."""
        target = element if self.lanes == 1 else vector(element, self.lanes)
        b, from_int, to_int = self.e.b, isinstance(self.element, ir.IntType), isinstance(element, ir.IntType)
        if from_int and to_int:
            if element.width < self.element.width:
                return Vec(self.e, b.trunc(self.v, target))
            return Vec(self.e, (b.sext if signed else b.zext)(self.v, target))
        if from_int:
            return Vec(self.e, b.sitofp(self.v, target))
        if to_int:
            return Vec(self.e, b.fptosi(self.v, target))
        return Vec(self.e, (b.fptrunc if element == F16 else b.fpext)(self.v, target))

    def shuffle(self, indices: Iterable[int], other: "Vec | None" = None) -> "Vec":
        """A register of these lanes; indices from self.lanes on are lanes of `other`."""
        mask = [I32(i) for i in indices]
        rest = other.v if other else ir.Constant(self.type, ir.Undefined)
        return Vec(self.e, self.e.b.shuffle_vector(self.v, rest, ir.Constant(vector(I32, len(mask)), mask)))

    def lane(self, i: int) -> "Vec":
        """One lane as a scalar."""
        return Vec(self.e, self.e.b.extract_element(self.v, I32(i)))

    def fold(self, operation: Callable) -> "Vec":
        """One scalar: all lanes combined by a binary operation, the upper half onto the lower one: a fixed tree."""
        v = self
        while v.lanes > 1:
            half = v.lanes // 2
            low, high = v.shuffle(range(half)), v.shuffle(range(half, 2 * half))
            v = operation(low, high)
        return v.lane(0) if isinstance(v.type, ir.VectorType) else v


def fold_lanes(vectors: list[Vec], operation: Callable) -> list[Vec]:
    """The lanes of each register combined; the results lie side by side in as few registers as hold them.

    The number of registers is a power of two. They are combined in pairs, halves of their segments: a fixed tree.
    """
    segment = vectors[0].lanes  # lanes that belong to one of the sums
    while segment > 1:
        total = 2 * vectors[0].lanes if len(vectors) > 1 else vectors[0].lanes
        first = [i for i in range(total) if i % segment < segment // 2]
        second = [i + segment // 2 for i in first]
        pairs = [(v, None) for v in vectors] if len(vectors) == 1 else zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [operation(a.shuffle(first, b), a.shuffle(second, b)) for a, b in pairs]
        segment //= 2
    return vectors


class Variable:
    """A value that changes in a loop: an alloca, which LLVM turns into a register."""

    __slots__ = ("e", "slot")

    def __init__(self, emitter: "Emitter", value: Vec):
        self.e = emitter
        with emitter.b.goto_entry_block():
            self.slot = emitter.b.alloca(value.type)
        self.set(value)

    def set(self, value: Vec) -> None:
        self.e.b.store(value.v, self.slot)

    def get(self) -> Vec:
        return Vec(self.e, self.e.b.load(self.slot, typ=self.slot.allocated_type))


class Emitter:
    """Writes one function for one tier."""

    def __init__(self, module: ir.Module, name: str, arguments: str, isa: Isa):
        """arguments: a letter each, i for an integer or an address (i64), f for f32. The function returns nothing."""
        types = [I64 if letter == "i" else F32 for letter in arguments]
        self.module, self.isa = module, isa
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
        self.function.attributes.add("nounwind")
        self.b = ir.IRBuilder(self.function.append_basic_block())
        self.arguments = [Vec(self, a) for a in self.function.args]

    def end(self) -> None:
        self.b.ret_void()

    # constants and lanes

    def constant(self, kind: ir.Type, number: int | float) -> Vec:
        """A scalar, or the same number in every lane."""
        if isinstance(kind, ir.VectorType):
            return Vec(self, ir.Constant(kind, [kind.element(number)] * kind.count))
        return Vec(self, kind(number))

    def lanes_of(self, element: ir.Type, lanes: int = 0) -> ir.Type:
        """The type of a register (of the tier's width by default), or of a scalar for one lane."""
        lanes = lanes or self.isa.lanes
        return element if lanes == 1 else vector(element, lanes)

    def f32s(self, number: float, lanes: int = 0) -> Vec:
        return self.constant(self.lanes_of(F32, lanes), number)

    def i32s(self, number: int, lanes: int = 0) -> Vec:
        return self.constant(self.lanes_of(I32, lanes), number)

    def splat(self, scalar: Vec, lanes: int = 0) -> Vec:
        """A scalar in every lane."""
        lanes = lanes or self.isa.lanes
        if lanes == 1:
            return scalar
        kind = vector(scalar.type, lanes)
        one = self.b.insert_element(ir.Constant(kind, ir.Undefined), scalar.v, I32(0))
        return Vec(self, one).shuffle([0] * lanes)

    def join(self, parts: list[Vec]) -> Vec:
        """Registers of equal length side by side; their number is a power of two."""
        while len(parts) > 1:
            n = parts[0].lanes * 2
            parts = [a.shuffle(range(n), b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    # memory; addresses are integers

    def _pointer(self, address: Vec) -> ir.Value:
        return self.b.inttoptr(address.v, PTR)

    def load(self, address: Vec, kind: ir.Type) -> Vec:
        instruction = self.b.load(self._pointer(address), typ=kind)
        instruction.align = 1
        return Vec(self, instruction)

    def store(self, address: Vec, value: Vec) -> None:
        self.b.store(value.v, self._pointer(address)).align = 1

    def prefetch(self, address: Vec, into: str = "L2") -> None:
        """Asks for the cache line at an address, which need not exist. into: a key of LOCALITY."""
        name = "llvm.prefetch.p0"
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [PTR, I32, I32, I32]), name)
        self.b.call(function, [self._pointer(address), I32(0), I32(LOCALITY[into]), I32(1)])  # for reading, data

    def prefetch_share(self, address: Vec, size: Vec, index: Vec, parts: Vec) -> None:
        """Prefetches part `index` of `parts` equal parts of `size` bytes, for a loop that asks for a part each turn.

        If all were asked for at once, they would wait for each other, and all other loads for them.
        """
        share = (size / parts + 63) & -64
        with self.loop((index * share + share).minimum(size), start=index * share, step=64) as i:
            self.prefetch(address + i)

    def load_splat(self, address: Vec, element: ir.Type, lanes: int = 0) -> Vec:
        """One element in every lane."""
        return self.splat(self.load(address, element), lanes)

    # control flow

    @contextmanager
    def loop(self, stop: Vec, start: Vec | int = 0, step: int = 1) -> Iterator[Vec]:
        """for i in range(start, stop, step), i64."""
        start = start if isinstance(start, Vec) else self.constant(I64, start)
        i = Variable(self, start)
        head, body, after = (self.function.append_basic_block() for _ in range(3))
        self.b.branch(head)
        self.b.position_at_end(head)
        self.b.cbranch(i.get().compare("<", stop).v, body, after)
        self.b.position_at_end(body)
        yield i.get()
        i.set(i.get() + step)
        self.b.branch(head)
        self.b.position_at_end(after)

    def strips(self, count: Vec, most: int = 0) -> Iterator[tuple[Vec, int]]:
        """Two loops over range(count), as (i, n): in steps of n = most, a power of two (by default the lanes of a
        register), then the rest in steps of n = 1."""
        most = most or self.isa.lanes
        whole = count & -most
        with self.loop(whole, step=most) as i:
            yield i, most
        if most > 1:
            with self.loop(count, start=whole) as i:
                yield i, 1

    # functions

    def call(self, name: str, result: ir.Type, *values: Vec) -> Vec:
        """Result of an intrinsic function of LLVM."""
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(result, [v.type for v in values]), name)
        return Vec(self, self.b.call(function, [v.v for v in values]))

    def fma(self, x: Vec, y: Vec, z: Vec) -> Vec:
        """x * y + z, rounded once on tiers that have such an instruction."""
        if not self.isa.fma:
            return x * y + z
        suffix = f"v{x.lanes}f32" if x.lanes > 1 else "f32"
        return self.call(f"llvm.fma.{suffix}", x.type, x, y, z)

    def round(self, x: Vec) -> Vec:
        """Nearest integer, ties to even, for |x| < 2^22."""
        return (x + ROUND) - ROUND

    def absolute(self, x: Vec) -> Vec:
        return (x.bits(I32) & 0x7FFFFFFF).bits(F32)

    def f32_of_bf16(self, bits: Vec) -> Vec:
        """f32 lanes of u16 lanes."""
        return (bits.to(I32, signed=False) << 16).bits(F32)

    def f32_of_f16(self, bits: Vec) -> Vec:
        """f32 lanes of u16 lanes that hold f16 bits."""
        if self.isa.half:
            return bits.bits(F16).to(F32)
        wide = bits.to(I32, signed=False)
        sign, rest = (wide & 0x8000) << 16, wide & 0x7FFF
        scaled = (rest << 13).bits(F32) * 2.0**112  # moves the exponent's bias from 15 to 127, denormals too
        special = rest.compare(">=", 0x7C00).where(scaled.bits(I32) | 0x7F800000, scaled.bits(I32))
        return (special | sign).bits(F32)

    def f16_of_f32(self, x: Vec) -> Vec:
        """u16 lanes with the f16 bits of f32 lanes, rounded to nearest even; too large becomes infinity."""
        if self.isa.half:
            return x.to(F16).bits(I16)
        bits = x.bits(I32)
        sign, size = (bits >> 16) & 0x8000, bits & 0x7FFFFFFF
        normal = (size + 0xFFF + ((size >> 13) & 1) - (112 << 23)) >> 13
        tiny = (size.bits(F32) + 0.5).bits(I32) - 0x3F000000  # below 2^-14: the addition rounds to multiples of 2^-24
        half = size.compare("<", 113 << 23).where(tiny, normal)
        half = size.compare(">=", 0x477FF000).where(0x7C00, half)
        half = size.compare(">", 0x7F800000).where(0x7E00, half)
        return (half | sign).to(I16)

    def exp(self, x: Vec) -> Vec:
        """e^x lane by lane to 2 ulp; 0 below -87.3 (no denormals), infinity above 88.7, NaN for NaN."""
        near = x.maximum(-104.0).minimum(104.0)
        n = self.round(near * 1.4426950408889634)
        r = self.fma(n, self.f32s(-0.693145751953125, x.lanes), near)
        r = self.fma(n, self.f32s(-1.428606765330187e-06, x.lanes), r)  # ln 2 in two parts (Cody and Waite)
        p = self.f32s(1.9875691500e-4, x.lanes)  # minimax polynomial of e^r on |r| <= ln 2 / 2 (Cephes expf)
        for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
            p = self.fma(p, r, self.f32s(c, x.lanes))
        p = self.fma(p, r * r, r) + 1.0
        half = n.to(I32).sar(1)  # two factors: 2^128 does not fit in one
        y = p * ((half + 127) << 23).bits(F32) * ((n.to(I32) - half + 127) << 23).bits(F32)
        return x.compare("<", -87.3).where(0.0, x.compare("!=", x).where(x, y))

    def sigmoid(self, x: Vec) -> Vec:
        return self.f32s(1.0, x.lanes) / (self.exp(self.f32s(0.0, x.lanes) - x) + 1.0)
