"""The run of an agent that is killed: python acting.py MODEL RUN STATE MADE STEPS. Its tool adds a line to STATE once
for each call, however often that is made, and one to MADE every time."""

import os
import sys
from pathlib import Path

import kimi_cpu
from kimi_cpu.agent import Agent


def add(file: Path, line: str) -> None:
    """Adds a line in one piece."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def main(model: Path, run: Path, state: Path, made: Path, steps: int) -> None:
    """Runs, or goes on with a run that was killed."""

    def note(days: int, call_id: str) -> str:
        """Write a note."""
        number = call_id.partition(".")[2]
        add(made, number)
        lines = state.read_text().splitlines() if state.exists() else []
        if not any(line.startswith(f"{number} ") for line in lines):
            add(state, f"{number} {days}")
        return f"Note {number} is written."

    forced = {"tool_choice": {"type": "function", "function": {"name": "note"}}, "parallel_tool_calls": False}
    with kimi_cpu.load(model) as llm:
        agent = Agent(llm, [note], max_steps=steps, no_think=True, max_tokens=60, temperature=0, **forced)
        agent.run("Note some days.", resume=run)


if __name__ == "__main__":
    *paths, steps = sys.argv[1:]
    main(*map(Path, paths), int(steps))
