"""An agent that runs the tests of a folder, reads, edits, and runs them again until they pass.

    python examples/fix_tests -m k2.gguf                  # on a copy of broken/, beside this file
    python examples/fix_tests -m k2.gguf FOLDER --resume fix.jsonl

It needs Kimi K2 Thinking: the bundled model knows no Python. The tests run in a sandbox where bubblewrap is installed,
and the agent can edit files of the folder alone. The exit code is 0 when the tests pass at the end.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import kimi_cpu
from kimi_cpu.agent import Agent, tool
from kimi_cpu.agent.builtin import folder_tools, program_tools

BROKEN = Path(__file__).parent / "broken"
TASK = "Some tests of this folder fail. Make them pass by editing the code, and not the tests. Say what was wrong."
PASSED = "[all tests pass]"
COMMAND = f"{sys.executable} -m unittest && echo '{PASSED}'"


def fix(llm: kimi_cpu.LLM, folder: Path, resume: Path | None = None) -> tuple[str | None, bool]:
    """What the agent says of its work, and whether the tests pass."""
    shell, _ = program_tools(folder)

    @tool(read_only=True)
    def run_tests() -> str:
        """Run all tests. Returns their output."""
        return str(shell.call({"command": COMMAND, "timeout_s": 300}, ""))

    outcome = Agent(llm, [*folder_tools(folder), run_tests]).run(TASK, resume=resume)
    return outcome.content, run_tests().rstrip().endswith(PASSED)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--resume", type=Path)
    args = parser.parse_args()
    folder = args.folder
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="kimi-cpu-fix-")) / "broken"
        shutil.copytree(BROKEN, folder)
        print(f"Working on {folder}.", file=sys.stderr)
    with kimi_cpu.load(args.model) as llm:
        said, passes = fix(llm, folder, args.resume)
    print(said or "The agent has nothing to say.")
    print("The tests pass." if passes else "Some tests still fail.", file=sys.stderr)
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
