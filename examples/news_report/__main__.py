"""The daily news report: an agent asks for the date, searches a folder of documents for each topic, and writes a report
that cites what it found.

    python examples/news_report chess housing                       # on the bundled model, over news/ beside this file
    python examples/news_report -m k2.gguf --folder ~/articles "our competitors" --resume report.jsonl

The bundled model has learnt this task on small texts: it gets two topics of news/ right. For a folder of your own, more
topics, or topics in your own words, it needs Kimi K2 Thinking. With --resume the report goes on where it was stopped,
and `kimi-cpu agent --view report.jsonl` shows how it came to be.
"""

import argparse
from pathlib import Path

from report_tools import get_date, web_search

import kimi_cpu
from kimi_cpu.agent import Agent, Outcome
from kimi_cpu.agent import get_date as get_date_and_time
from kimi_cpu.agent.builtin import Documents, web_tools


def report(llm: kimi_cpu.LLM, topics: list[str], folder: Path | None = None, resume: Path | None = None) -> Outcome:
    """The report on some topics, from the documents of a folder, or else of news/."""
    tools = [get_date, web_search] if folder is None else [get_date_and_time, *web_tools(Documents(folder))]
    *first, last = topics
    series = f"{', '.join(first)} and {last}" if first else last
    return Agent(llm, tools, temperature=0).run(f"Write the daily news report about {series}.", resume=resume)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="+")
    parser.add_argument("-m", "--model", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--resume", type=Path)
    args = parser.parse_args()
    with kimi_cpu.load(args.model) as llm:
        outcome = report(llm, args.topics, args.folder, args.resume)
    print(outcome.content or f"There is no report: {outcome.reason}.")


if __name__ == "__main__":
    main()
