"""The last sentence of a process that the system ends as a mapped file can no longer be read (SIGBUS).

A file that is cut short or overwritten while it is mapped, or whose disk fails, faults at the instruction that reads
it: in a kernel's thread, or in NumPy. A handler in Python would never run, since the instruction is tried again at
once; this one is machine code. It finds the file in /proc/self/maps, writes one sentence, puts the handler before it
back, and returns: the instruction faults again, and that handler (Python's faulthandler, or the system's end of the
process) does what it would have done.

Only for programs that own their process: the command line installs it, the library never does.
"""

import ctypes
import platform
import signal
import sys

from llvmlite import ir

from . import jit
from .native import BY_NAME, Library, Micro
from .simd import I8, I32, I64, PTR, Emitter, Variable, Vec

BEFORE = b"kimi-cpu: "
AFTER = (
    b": a part of this file can no longer be read: it was cut short or overwritten while it was in use, or its disk "
    b"fails. Copy it again if `kimi-cpu verify` finds it damaged, and start again.\n"
)
MAPS = b"/proc/self/maps\0"  # proc_pid_maps(5): begin-end permissions offset device inode path
CHUNK_BYTES, CHUNKS, PATH_BYTES = 1 << 14, 1 << 10, 4096
SI_CODE, SI_ADDR = 8, 16  # sigaction(2): bytes into siginfo_t, on 64 bits
SA_SIGINFO, SA_ONSTACK = 4, 0x08000000  # Linux, asm-generic/signal-defs.h
MACHINES = ("x86_64", "amd64", "aarch64", "arm64")
STDERR = 2


class SigAction(ctypes.Structure):
    """struct sigaction of glibc and musl."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint8 * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


FUNCTIONS = {  # of libc, that a signal handler may call (signal-safety(7)): the type of what they return
    "open": I32,
    "read": I64,
    "write": I64,
    "sigaction": I32,
    "raise": I32,
    "pause": I32,
}


class State(ctypes.Structure):
    """The handler's data: addresses of functions, the handler before it, and memory. text: the sentence."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in FUNCTIONS),
        ("entered", ctypes.c_int64),
        ("before", SigAction),
        ("maps", ctypes.c_char * len(MAPS)),
        ("chunk", ctypes.c_uint8 * CHUNK_BYTES),
        ("after", ctypes.c_char * len(AFTER)),
        ("text", ctypes.c_uint8 * (len(BEFORE) + PATH_BYTES + 1 + len(AFTER))),
    )


_installed: list = []  # what the handler uses as long as the process lives


def install() -> None:
    """Lets SIGBUS say which file cannot be read; on Linux. A second call does nothing."""
    if _installed or sys.platform != "linux" or platform.machine().lower() not in MACHINES:
        return
    libc, state = ctypes.CDLL(None), State(maps=MAPS, after=AFTER)
    ctypes.memmove(state.text, BEFORE, len(BEFORE))
    for name in FUNCTIONS:
        setattr(state, name, ctypes.cast(libc[name], ctypes.c_void_p))
    code = Library(BY_NAME["portable"], micros(), ["bind", "handler"], jit.CACHE.entry("bus-error.o"))
    bind, handler = map(int, code.addresses)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(bind)(ctypes.addressof(state))
    _installed.extend([state, code])
    action = SigAction(handler=handler, flags=SA_SIGINFO | SA_ONSTACK)
    libc.sigaction(signal.SIGBUS, ctypes.byref(action), ctypes.byref(state.before))


def micros() -> list[Micro]:
    """void bind(State *state), and void handler(int signal, siginfo_t *info, void *context)."""

    def state(e: Emitter) -> ir.GlobalVariable:
        """The module's variable that holds a State's address."""
        found = e.module.globals.get("state")
        if found is None:
            found = ir.GlobalVariable(e.module, I64, "state")
            found.initializer, found.linkage = I64(0), "internal"
        return found

    def at(e: Emitter, name: str) -> Vec:
        return Vec(e, e.b.load(state(e), typ=I64)) + getattr(State, name).offset

    def call(e: Emitter, name: str, *values: Vec | int) -> Vec:
        arguments = [v.v if isinstance(v, Vec) else I64(v) for v in values]
        kind = ir.FunctionType(FUNCTIONS[name], [a.type for a in arguments], var_arg=name == "open")
        return Vec(e, e.b.call(e.b.inttoptr(e.load(at(e, name), I64).v, kind.as_pointer()), arguments))

    def bind(e: Emitter, address: Vec) -> None:
        e.b.store(address.v, state(e))

    def handler(e: Emitter, number: Vec, info: Vec, _: Vec) -> None:
        """One thread says the sentence; others that fault wait for the end of the process."""
        entered = Vec(e, e.b.atomic_rmw("xchg", e.b.inttoptr(at(e, "entered").v, PTR), I64(1), "seq_cst"))
        with e.b.if_then(entered.compare("!=", 0).v), e.loop(e.constant(I64, 2**62)):
            call(e, "pause")
        by_the_system = e.load(info + SI_CODE, I32).compare(">", 0)
        with e.b.if_then(by_the_system.v):
            say(e, e.load(info + SI_ADDR, I64))
        call(e, "sigaction", number.to(I32), at(e, "before"), 0)
        with e.b.if_then(e.b.not_(by_the_system.v)):  # sent with kill(2): there is no instruction to fault again
            call(e, "raise", number.to(I32))

    def say(e: Emitter, address: Vec) -> None:
        """Reads the maps byte by byte to the line whose range holds the address, and writes the sentence on its path.

        field: 0 in a range's begin, 1 in its end, 2 behind it; the path begins with the first slash there.
        """
        names = ("value", "field", "inside", "length", "found")
        value, field, inside, length, found = variables = [Variable(e, e.constant(I64, 0)) for _ in names]
        text, chunk = at(e, "text"), at(e, "chunk")
        file = call(e, "open", at(e, "maps"), 0)
        with e.loop(e.constant(I64, CHUNKS)):  # at the end of the file, reads return 0
            count = call(e, "read", file, chunk, CHUNK_BYTES)
            with e.loop(count) as i, e.b.if_then(found.get().compare("==", 0).v):
                byte = e.load(chunk + i, I8).to(I64, signed=False)
                in_number, ends = field.get().compare("<", 2), byte.compare("==", ord("\n"))
                stops = in_number & (byte.compare("==", ord("-")) | byte.compare("==", ord(" ")))
                digit = byte.compare(">", ord("9")).where(byte - (ord("a") - 10), byte - ord("0"))
                begins, goes_on = value.get().compare("<=", address), value.get().compare(">", address)
                holds = field.get().compare("==", 0).where(begins, goes_on & inside.get().compare("!=", 0))
                inside.set(stops.where(holds.to(I64, signed=False), inside.get()))
                value.set(stops.where(0, in_number.where(value.get() << 4 | digit, value.get())))
                of_path = length.get().compare(">", 0) | byte.compare("==", ord("/"))
                fits = length.get().compare("<", PATH_BYTES) & inside.get().compare("!=", 0)
                e.store(text + len(BEFORE) + length.get(), byte.to(I8))
                taken = of_path & fits & field.get().compare("==", 2) & byte.compare("!=", ord("\n"))
                length.set(length.get() + taken.to(I64, signed=False))
                field.set(field.get() + stops.to(I64, signed=False))
                with e.b.if_then(ends.v):
                    with e.b.if_then(length.get().compare(">", 0).v):
                        finish(e, text, length.get())
                        found.set(e.constant(I64, 1))
                    for variable in variables[:4]:
                        variable.set(e.constant(I64, 0))

    def finish(e: Emitter, text: Vec, length: Vec) -> None:
        """All of the sentence at once, so that it is one line."""
        end = text + len(BEFORE) + length
        with e.loop(e.constant(I64, len(AFTER))) as i:
            e.store(end + i, e.load(at(e, "after") + i, I8))
        call(e, "write", e.constant(I32, STDERR), text, length + len(BEFORE) + len(AFTER))

    return [Micro("bind", "i", bind), Micro("handler", "iii", handler)]
