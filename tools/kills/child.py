"""The process that is killed: python child.py CALL LOG PROGRAM [ARGUMENT...]. It dies before its CALL-th call that
changes the disk, counted from 1, and without one it writes their number to LOG at its end."""

import atexit
import os
import runpy
import signal
import sys
import threading

CALLS = ("replace", "rename", "fsync", "fdatasync", "pwrite", "ftruncate", "unlink")


def watch(due: int, log: str) -> None:
    """Counts the calls from now on."""
    lock, count = threading.Lock(), 0

    def counted(call):
        def wrapper(*args, **kwargs):
            nonlocal count
            with lock:
                count += 1
                if count == due:
                    os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))

    def tell() -> None:
        with open(log, "w") as file:
            file.write(str(count))

    atexit.register(tell)


if __name__ == "__main__":
    due, log, program, *arguments = sys.argv[1:]
    watch(int(due), log)
    sys.argv = [program, *arguments]
    if program == "kimi-cpu":
        from kimi_cpu.cli import main

        main()
    else:
        runpy.run_path(program, run_name="__main__")
