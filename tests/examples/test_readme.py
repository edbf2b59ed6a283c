"""The README's programs, as they are written."""

import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_program_runs_an_agent_with_two_tools(kernels_ready):
    block = README.read_text(encoding="utf-8").split("<!-- agent example -->\n```python\n")[1].split("```")[0]
    assert sum(bool(line) for line in block.splitlines()) == 4
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
