"""kimi-cpu batch: files of requests, answered overnight; and kimi-cpu merge, which joins their results."""

import json
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..config.fields import HEAVY, SAMPLING
from ..errors import Interrupted
from . import EXIT_INTERRUPTED
from .display import say, warn
from .interrupts import CTRL_C, endings, on_signals
from .options import (
    cluster_of,
    cluster_options,
    heavy_option,
    loading_of,
    model_options,
    require_model,
    sampling_options,
    stages_option,
    thinking_of,
    thinking_options,
)

if TYPE_CHECKING:
    from ..batch import Progress, Run

EXIT_SOME_FAILED = 3
DASH = Path("-")  # stdin, stdout
RATE_S = 60.0  # the time that rates are of, the last minute
LINE_S = 30.0  # between lines where there is no terminal


class DeadlineType(click.ParamType):
    """A time to stop at, as seconds from now: 8h, 90m, 1h30m, 45s, 45, the next 07:00, or 2026-12-01T07:00."""

    name = "8h|07:00"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
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
@cluster_options
@stages_option
@thinking_options
@heavy_option
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@model_options
@sampling_options
@click.pass_context
def batch_command(
    ctx: click.Context,
    source: Path,
    output: Path,
    parallel: int | None,
    resume: bool,
    shard: str,
    text: bool,
    ordered: bool,
    deadline: float | None,
    ray: str | None,
    ray_stages: int | None,
    mixed: bool,
    fetch: str | None,
    as_json: bool,
    model: Path | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Answer the requests of IN.jsonl, lines of OpenAI's batch format, into OUT.jsonl.

    Options of sampling hold for requests that do not name them; a request without a seed gets one from --seed [0] and
    its custom_id. Killed, or stopped by SIGTERM, Ctrl-C or --deadline, the same command goes on where it was. Exit
    codes: 0 all answered, 3 some failed, 4 the disk is full, 6 stopped, 130 Ctrl-C.

    \b
    kimi-cpu batch in.jsonl -o out.jsonl -m k2.gguf
    kimi-cpu batch questions.txt --text -o out.jsonl -m k2.gguf --think-budget 4000 --deadline 07:00
    kimi-cpu batch in.jsonl -o out-3.jsonl -m k2.gguf --shard 3/8
    kimi-cpu batch in.jsonl -o out.jsonl -m /models/k2.gguf --ray 10.0.0.1:6379
    kimi-cpu batch in.jsonl -o out.jsonl -m /models/k2.gguf --ray 10.0.0.1:6379 --ray-stages 3
    make-requests | kimi-cpu batch - -o - -m k2.gguf | use-results
    """
    thinking = thinking_of(options)
    asks_to_resume = resume and ctx.get_parameter_source("resume") is click.core.ParameterSource.COMMANDLINE
    if output == DASH and (asks_to_resume or as_json):
        raise click.UsageError("-o - streams results to stdout: there is nothing to --resume, and no room for --json.")
    ray = cluster_of(ray, ray_stages, mixed, fetch)
    from ..files import STDIN, output_path, spooled

    source = STDIN if source == DASH else source
    if output != DASH:
        output_path(output, [source, *([model] if model else [])])  # before a model is loaded
    results = None if output == DASH else output
    path = require_model(model) if ray is None or model is None else model.absolute()  # of hosts
    loading = loading_of(options)
    unset = {field.name: field.default for field in (*SAMPLING, *HEAVY)}
    defaults = {name: value for name, value in options.items() if value or value != unset[name]} | thinking
    from ..batch import MAX_PARALLEL, BatchOptions, Run, Shard
    from ..batch.answers import LanguageModel
    from ..cluster import BatchWork, hosts_of
    from .loading import opened_model

    settings = BatchOptions(resume=resume, text=text, ordered=ordered, shard=Shard.parse(shard), parallel=parallel)
    stops = Stops(deadline)
    loading |= {"parallel": parallel or MAX_PARALLEL, "read_ahead": False, "prompts_first": True}
    with stops.signals(), spooled(source) as lines, ExitStack() as engines:
        if ray is None or ray_stages is not None:
            llm = engines.enter_context(opened_model(path, ray, ray_stages, fetch, **loading))
            run = Run([LanguageModel(llm, seed or 0, defaults, loading)], lines, results, settings)
        else:
            work = BatchWork(None if model is None else str(path), fetch, loading, mixed, seed or 0, defaults)
            hosts = engines.enter_context(hosts_of(ray, work, say))
            run = Run([hosts.first()], lines, results, settings, lasting=True)
            hosts.follow(run)
        if output == DASH:
            say("results go to stdout, without a journal: a run that is stopped cannot be continued.")
        with shown_progress() as show:
            progress = stops.watch(run, show)
        warn(run.warnings)
        if as_json:
            click.echo(json.dumps(progress.as_dict() | {"output": str(output), "stopped_by": stops.reason}))
        if stops.reason is not None:
            if ray is not None:
                engines.close()
            stops.leave(resumable=output != DASH)
    if progress.num_failed:
        sys.exit(EXIT_SOME_FAILED)


class Stops:
    """Stops a run before its end, at a signal or at a time. reason: the one that did."""

    def __init__(self, deadline_s: float | None):
        self.reason: str | None = None
        self._ends_at = None if deadline_s is None else time.monotonic() + deadline_s
        self._run: Run | None = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Lets SIGTERM, SIGHUP and the first Ctrl-C stop the run, which saves its results. Before the run, and at the
        second Ctrl-C, they end the program as usual."""
        with on_signals((*endings(), signal.SIGINT), self._on_signal):
            yield

    def watch(self, run: "Run", show: Callable[["Progress"], None]) -> "Progress":
        """Runs until the end, or until a stop. show: shown the progress as it goes."""
        self._run = run

        def report(progress: "Progress") -> None:
            show(progress)
            if self._ends_at is not None and time.monotonic() >= self._ends_at:
                self._stop(run, "--deadline")

        return run.run(report)

    def leave(self, resumable: bool) -> NoReturn:
        """Ends the process without waiting for the layer that is being computed, which may take longer than a sender of
        SIGTERM waits; all results are on the disk."""
        then = "the same command goes on where it was" if resumable else "the results so far were written"
        with suppress(OSError):  # the reader has left
            say(f"Stopped by {self.reason}; {then}.")
            sys.stdout.flush()
        os._exit(EXIT_INTERRUPTED if self.reason == CTRL_C else Interrupted.exit_code)

    def _on_signal(self, name: str) -> None:
        if name == CTRL_C and (self._run is None or self.reason is not None):
            raise KeyboardInterrupt
        if self._run is None:
            raise Interrupted(f"Stopped by {name} before anything was done.")
        self._stop(self._run, name)

    def _stop(self, run: "Run", reason: str) -> None:
        self.reason = self.reason or reason
        run.stop()


@contextmanager
def shown_progress() -> Iterator[Callable[["Progress"], None]]:
    """A function that shows the progress of a run on stderr: by a bar on a terminal, by a line now and then
    elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console, rates = Console(stderr=True), Rates()
    if not console.is_terminal:
        lines = _ProgressLines(console.print, rates)
        yield lines.show
        lines.last()
        return
    with Bar(BarColumn(), TextColumn("{task.description}"), console=console) as display:
        task = display.add_task("reading", total=None)

        def show(progress: "Progress") -> None:
            display.update(
                task,
                completed=progress.num_done,
                total=progress.num_expected or None,
                description=rates.sentence(progress),
            )

        yield show


class _ProgressLines:
    """Writes a sentence every half minute, and one at the end."""

    def __init__(self, write: Callable[..., None], rates: "Rates"):
        self._write, self._rates = write, rates
        self._shown_at = time.monotonic()
        self._sentence = ""

    def show(self, progress: "Progress") -> None:
        """Writes the progress, if it is time for a line."""
        self._sentence = self._rates.sentence(progress)
        if time.monotonic() - self._shown_at >= LINE_S:
            self._shown_at = time.monotonic()
            self.last()

    def last(self) -> None:
        """Writes the latest progress."""
        if self._sentence:
            self._write(f"kimi-cpu: {self._sentence}", highlight=False, soft_wrap=True)


class Rates:
    """Counts requests, and tokens a second, cache hits and the time left by the progress of the last minute."""

    def __init__(self):
        self._past: deque[Progress] = deque()

    def sentence(self, progress: "Progress") -> str:
        """All of it in one line."""
        self._past.append(progress)
        while len(self._past) > 2 and progress.seconds - self._past[1].seconds > RATE_S:
            self._past.popleft()
        first, tally = self._past[0], progress.tally
        seconds = max(progress.seconds - first.seconds, 1e-9)
        prompt = (tally.tokens.prompt - first.tally.tokens.prompt) / seconds
        generated = (tally.num_generated - first.tally.num_generated) / seconds
        about = "" if progress.read_bytes == progress.input_bytes else "about "
        parts = [f"{progress.num_done:,} of {about}{progress.num_expected:,} requests"]
        parts += [f"{progress.num_failed:,} failed"] if progress.num_failed else []
        parts += [_cut_off(tally.num_cut, tally.num_cut_empty)] if tally.num_cut else []
        parts += [f"{prompt:.1f} tokens/s in, {generated:.1f} out", f"{tally.num_running} running"]
        if tally.tokens.prompt:
            parts.append(f"{100 * tally.tokens.cached / tally.tokens.prompt:.0f} % of the prompts cached")
        left = progress.num_expected - progress.num_done
        done = progress.num_done - first.num_done
        if left > 0 and done > 0:
            parts.append(f"{timedelta(seconds=round(left * seconds / done))} left")
        return ", ".join(parts)


def _cut_off(num_cut: int, num_empty: int) -> str:
    """The number of answers that ended at their limit of tokens, in words."""
    thinking = (
        f", {num_empty:,} of them in their thinking (--think-budget leaves room for an answer)" if num_empty else ""
    )
    return f"{num_cut:,} cut off at -n or the context's end{thinking}"


@click.command("merge")
@click.argument("outputs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write. [default: stdout]"
)
@click.option("--force", is_flag=True, help="Replace a file of results that is there.")
def merge_command(outputs: tuple[Path, ...], output: Path | None, force: bool) -> None:
    """Join OUTPUTS of `kimi-cpu batch`; of several results of one request, the first answer is taken.

    Results of different models or options, and answers to different requests under one custom_id, are refused.

    \b
    kimi-cpu merge out-1.jsonl out-2.jsonl out-3.jsonl -o out.jsonl
    """
    from ..batch.output import is_result_file
    from ..batch.results import merge
    from ..files import check_replaceable, output_path, replacing

    if output is None or output == DASH:
        merged = merge(outputs, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        output = output_path(output, outputs)
        check_replaceable(output, "result of kimi-cpu batch", is_result_file, force)
        with replacing(output, private=True) as file:
            merged = merge(outputs, file)
    if merged.num_unnamed:
        warn([f"{merged.num_unnamed} results do not say what they answer, as an earlier version wrote them."])
    if merged.num_different:
        warn([f"{merged.num_different} requests have answers that differ; the first one was taken."])
    counts = f"{merged.num_results} results, {merged.num_failed} of them failures"
    say(f"{counts}; {merged.num_duplicates} repeated lines left out")
