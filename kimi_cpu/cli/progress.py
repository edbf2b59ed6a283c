"""A progress bar on stderr: on a terminal only, and without colours where NO_COLOR is set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int, str], None] | None]:
    """A function (bytes done, bytes in all, name of the tensor) that draws; None when stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = [
        TextColumn(what),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
    ]
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(what, total=None, name="")
        yield lambda done, total, name: display.update(task, completed=done, total=total, name=name)


@contextmanager
def steps(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function (steps done, steps in all) that draws a bar on a terminal; elsewhere one line says what happens."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(what)
        yield lambda done, total: None
        return
    with Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), console=console, transient=True) as display:
        task = display.add_task(what, total=None)
        yield lambda done, total: display.update(task, completed=done, total=total)
