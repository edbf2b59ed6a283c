"""A run as one page of HTML, to be read in any browser and sent to anybody: it loads nothing, and needs no network."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ..errors import ConfigError
from ..files import check_replaceable, open_regular, replacing
from .journal import read_journal
from .records import Answered, Begun, Called, Ended, Record, Returned, Shortened, Summarised, Told
from .transcript import Transcript

MARK = b'content="kimi-cpu agent --view"'
TITLE_CHARS = 120
LATE = "late"  # the class of a call that timed out; a class has no space


def write_page(trace: Path) -> Path:
    """Writes the page of a journal beside it, TRACE.html, and returns its path. ConfigError: it is no journal, or there
    is another file. OSError."""
    records, _ = read_journal(trace)
    if not records:
        raise ConfigError(f"{trace} has no run yet.")
    path = trace.with_name(trace.name + ".html")
    check_replaceable(path, "page of a run", _is_page, force=True)
    with replacing(path, private=True) as file:  # as private as the journal
        file.write(page(records).encode())
    return path


def page(records: Sequence[Record]) -> str:
    """The page of a run, or of a run so far."""
    run = Transcript(records)
    task = "" if run.begun is None else run.begun.task
    template = Template((files("kimi_cpu") / "agent" / "page" / "trace.html").read_text("utf-8"))
    title = task if len(task) <= TITLE_CHARS else f"{task[:TITLE_CHARS]}…"
    return template.substitute(title=escape(title), head=_head(run), body="\n".join(_parts(records)))


def _is_page(path: Path) -> bool:
    with open_regular(path) as file:
        return MARK in file.read(1000)


def _head(run: Transcript) -> str:
    figures = (
        f"{run.num_steps} steps, {run.num_calls} calls; {run.computed_tokens:,} prompt tokens computed, "
        f"{run.generated_tokens:,} tokens generated; {run.seconds:.1f} s"
    )
    begun = run.begun
    when = "" if begun is None else f"{datetime.fromtimestamp(begun.at):%Y-%m-%d %H:%M}, model {begun.model[:12]}. "
    return f"<p>{escape(when + figures)}</p>"


def _parts(records: Sequence[Record]) -> Iterator[str]:
    """The parts of the page, one a step, message or event."""
    returned = {record.call: record for record in records if isinstance(record, Returned)}
    called = {record.call for record in records if isinstance(record, Called)}
    for record in records:
        if isinstance(record, Begun):
            system = f"<pre>{escape(record.system)}</pre>" if record.system else ""
            tools = escape(", ".join(record.tools) or "none")
            asked = f'<pre>{escape(record.task)}</pre><p class="figures">Tools: {tools}</p>'
            yield f'<div class="note">{system}{asked}</div>'
        elif isinstance(record, Answered):
            yield _step(record, returned, called)
        elif isinstance(record, Told):
            yield f'<div class="note"><b>{record.by}</b><pre>{escape(record.content)}</pre></div>'
        elif isinstance(record, Shortened):
            calls = escape(", ".join(record.calls))
            yield f'<div class="note figures">Results are shortened, as the context is nearly full: {calls}</div>'
        elif isinstance(record, Summarised):
            about = f"A summary takes the place of old turns. {_figures(record, record.seconds)}"
            yield f"<details><summary>{about}</summary><pre>{escape(record.content)}</pre></details>"
        elif isinstance(record, Ended):
            answer = f"<pre>{escape(record.content)}</pre>" if record.content else ""
            yield f'<div class="final"><b>{escape(record.reason)}</b>{answer}</div>'


def _step(record: Answered, returned: dict[str, Returned], called: set[str]) -> str:
    message = record.message or {}
    reasoning, content = message.get("reasoning_content"), message.get("content")
    calls = [(f"{record.step}.{i}", call["function"]) for i, call in enumerate(message.get("tool_calls") or ())]
    names = ", ".join(function["name"] for _, function in calls) or ("answer" if message else record.finish_reason)
    figures = _figures(record, record.prefill_s + record.decode_s)
    parts = [f"<summary><b>{record.step}</b> {escape(names)} {figures}</summary>"]
    if reasoning:
        parts.append(f'<details class="reasoning"><summary>Reasoning</summary><pre>{escape(reasoning)}</pre></details>')
    if content:
        parts.append(f"<pre>{escape(content)}</pre>")
    parts += [_call(call, function, returned.get(call), call in called) for call, function in calls]
    return f"<details>{''.join(parts)}</details>"


def _call(call: str, function: dict[str, str], result: Returned | None, has_begun: bool) -> str:
    asked = escape(f"{function['name']}({function['arguments']})")
    if result is None:
        state = "begun, and without a result" if has_begun else "not made yet"
        return f'<details class="call"><summary>{call} {asked} <span class="unknown">{state}</span></summary></details>'
    kind = LATE if result.status == "timed out" else result.status
    size = "" if result.file is None else f", of {result.chars:,} characters a part"
    told = f'<span class="{kind}">{result.status}</span> <span class="figures">{result.seconds:.2f} s{size}</span>'
    return (
        f'<details class="call"><summary>{call} {asked} {told}</summary><pre>{escape(result.content)}</pre></details>'
    )


def _figures(record: Answered | Summarised, seconds: float) -> str:
    """Tokens and seconds of a turn, and a meter of what was found in the cache."""
    share = record.cached_tokens / max(record.prompt_tokens, 1)
    meter = f'<meter value="{share:.3f}" title="{share:.1%} of the prompt were computed before"></meter>'
    new = record.prompt_tokens - record.cached_tokens
    numbers = f"prompt {record.prompt_tokens:,}, of which {new:,} computed; {record.completion_tokens:,} generated"
    return f'<span class="figures">{meter} {numbers}; {seconds:.1f} s</span>'
