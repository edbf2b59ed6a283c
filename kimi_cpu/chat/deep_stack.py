"""Work that recurses in native code as deep as what it is given goes."""

import threading
from collections.abc import Callable
from typing import Any

from ..errors import OutOfMemory

STACK_BYTES = 128 << 20  # of address space; the compiler takes up to 9 KiB for each reference that leads to another
_SLOTS = threading.BoundedSemaphore(2)  # works at a time, as each may need memory
_STARTING = threading.Lock()


def on_deep_stack(work: Callable[..., Any], *args: Any) -> Any:
    """work(*args) on a thread of its own with a large stack: what it returns or raises. OutOfMemory: there is none."""
    outcome: list = []

    def run() -> None:
        try:
            outcome.append((work(*args), None))
        except BaseException as error:  # a panic in native code is no Exception
            outcome.append((None, error))

    with _SLOTS:
        with _STARTING:  # the size is the process's
            before = threading.stack_size(STACK_BYTES)
            try:
                thread = threading.Thread(target=run, name="kimi-cpu schema", daemon=True)
                thread.start()
            except RuntimeError as error:
                raise OutOfMemory("There is no memory for a thread that compiles a schema. Try again later.") from error
            finally:
                threading.stack_size(before)
        thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
