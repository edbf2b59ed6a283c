"""kimi-cpu batch: files of requests, answered overnight."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ..config.fields import SAMPLING
from ..errors import Interrupted
from . import EXIT_INTERRUPTED
from .interrupts import CTRL_C, endings, on_signals
from .options import loading_of, model_options, require_model, sampling_options, thinking_of, thinking_options
from .telling import say, warn

if TYPE_CHECKING:
    from ..batch import Progress, Run

EXIT_SOME_FAILED = 3
DASH = Path("-")  # stdin, stdout


class DeadlineType(click.ParamType):
    """8h, 90m, 1h30m, 45s, 45, the next 07:00, or 2026-12-01T07:00: seconds from now."""

    name = "8h|07:00"

    def convert(self, value, param, ctx) -> float:
        """Seconds from now."""
        if isinstance(value, float):
            return value
        clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value)
        if clock:
            now = datetime.now()
            then = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
            return (then - now + timedelta(days=then <= now)).total_seconds()
        with suppress(ValueError):
            then = datetime.fromisoformat(value)
            return (then - datetime.now(then.tzinfo)).total_seconds()
        spans = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", value)
        if not value or spans is None:
            self.fail(f"{value!r} is no time; write it as 8h, 1h30m, 45s or 07:00.", param, ctx)
        return float(sum(int(n or 0) * unit for n, unit in zip(spans.groups(), (3600, 60, 1), strict=True)))


@click.command("batch")
@click.argument(
    "source",
    metavar="IN.jsonl",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
)
@click.option(
    "-o",
    "--output",
    metavar="OUT.jsonl",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write; - is stdout, without a journal.",
)
@click.option("--parallel", type=click.IntRange(1), help="Requests that run at once. [default: measured as it runs]")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on with OUT.jsonl, or begin it anew.")
@click.option("--shard", metavar="I/N", default="1/1", help="Answer the I-th of N parts of the input, I from 1.")
@click.option("--text", is_flag=True, help="Each line of the input is a prompt as it is, not JSON.")
@click.option("--ordered", is_flag=True, help="Results in the order of the input.")
@click.option("--deadline", type=DeadlineType(), help="Stop then as on SIGTERM: 8h, 90m, or 07:00.")
@thinking_options
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@model_options
@sampling_options
@click.pass_context
def command(
    ctx, source, output, parallel, resume, shard, text, ordered, deadline, as_json, model, seed, **options
) -> None:
    """Answer the requests of IN.jsonl, lines of OpenAI's batch format, into OUT.jsonl.

    Options of sampling hold for requests that do not name them; a request without a seed gets one from --seed [0] and
    its custom_id. Killed, or stopped by SIGTERM, Ctrl-C or --deadline, the same command goes on where it was. Exit
    codes: 0 all answered, 3 some failed, 4 the disk is full, 6 stopped, 130 Ctrl-C.

    \b
    kimi-cpu batch in.jsonl -o out.jsonl -m k2.gguf
    kimi-cpu batch questions.txt --text -o out.jsonl -m k2.gguf --think-budget 4000 --deadline 07:00
    kimi-cpu batch in.jsonl -o out-3.jsonl -m k2.gguf --shard 3/8
    make-requests | kimi-cpu batch - -o - -m k2.gguf | use-results
    """
    thinking = thinking_of(options)
    asks_to_resume = resume and ctx.get_parameter_source("resume") is click.core.ParameterSource.COMMANDLINE
    if output == DASH and (asks_to_resume or as_json):
        raise click.UsageError("-o - streams results to stdout: there is nothing to --resume, and no room for --json.")
    from ..files import STDIN, output_path, spooled

    source = STDIN if source == DASH else source
    if output != DASH:
        output_path(output, [source, *([model] if model else [])])  # before a model is loaded
    path = require_model(model)
    loading = loading_of(options)
    unset = {field.name: field.default for field in SAMPLING}
    defaults = {name: value for name, value in options.items() if value or value != unset[name]} | thinking
    from ..batch import MAX_PARALLEL, BatchOptions, Run, Shard
    from ..batch.answers import LanguageModel
    from .batch_view import view
    from .loading import load_model

    settings = BatchOptions(resume=resume, text=text, ordered=ordered, shard=Shard.parse(shard), parallel=parallel)
    stops = Stops(deadline)
    with (
        stops.signals(),
        spooled(source) as lines,
        load_model(path, parallel=parallel or MAX_PARALLEL, read_ahead=False, prompts_first=True, **loading) as llm,
    ):
        same = {name: loading[name] for name in ("kv", "compute", "context")}
        models = [LanguageModel(llm, seed or 0, defaults, same)]
        run = Run(models, lines, None if output == DASH else output, settings)
        if output == DASH:
            say("results go to stdout, without a journal: a run that is stopped cannot be continued.")
        with view() as show:
            progress = stops.watch(run, show)
        warn(run.warnings)
        if as_json:
            click.echo(json.dumps(progress.as_dict() | {"output": str(output), "stopped_by": stops.reason}))
        if stops.reason is not None:
            stops.leave(resumable=output != DASH)
    if progress.num_failed:
        sys.exit(EXIT_SOME_FAILED)


class Stops:
    """What ends a run before its end: signals, and a time. reason: which of them did."""

    def __init__(self, deadline_s: float | None):
        self.reason: str | None = None
        self._ends_at = None if deadline_s is None else time.monotonic() + deadline_s
        self._run = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM, SIGHUP and the first Ctrl-C let the run save what it has; before it, and at the second Ctrl-C, they
        end the program as they are wont to."""
        with on_signals((*endings(), signal.SIGINT), self._on_signal):
            yield

    def watch(self, run: "Run", show: Callable[["Progress"], None]) -> "Progress":
        """Runs it."""
        self._run = run

        def report(progress: "Progress") -> None:
            show(progress)
            if self._ends_at is not None and time.monotonic() >= self._ends_at:
                self._stop("--deadline")

        return run.run(report)

    def leave(self, resumable: bool) -> NoReturn:
        """Ends the process without waiting for the layer that is being computed, which may take longer than those who
        send SIGTERM are patient; all that counts is on the disk."""
        then = "the same command goes on where it was" if resumable else "the results so far were written"
        with suppress(OSError):  # whoever read has left
            say(f"Stopped by {self.reason}; {then}.")
            sys.stdout.flush()
        os._exit(EXIT_INTERRUPTED if self.reason == CTRL_C else Interrupted.exit_code)

    def _on_signal(self, name: str) -> None:
        if name == CTRL_C and (self._run is None or self.reason is not None):
            raise KeyboardInterrupt
        if self._run is None:
            raise Interrupted(f"Stopped by {name} before anything was done.")
        self._stop(name)

    def _stop(self, reason: str) -> None:
        assert self._run is not None
        self.reason = self.reason or reason
        self._run.stop()
