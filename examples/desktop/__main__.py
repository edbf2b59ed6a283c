"""A chat window on kimi_cpu's Python API: python examples/desktop -m k2.gguf"""

import argparse
import os
import tkinter as tk
from pathlib import Path

from assistant import Assistant
from window import Window

DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def main() -> None:
    """Parses arguments and runs the window."""
    parser = argparse.ArgumentParser(prog="examples/desktop", description="A chat window.")
    parser.add_argument("-m", "--model", help="model file; default $KIMI_CPU_MODEL, or the demonstration model")
    parser.add_argument("--session", type=Path, default=DATA / "kimi-cpu" / "desktop", help="file of the conversation")
    options = parser.parse_args()
    root = tk.Tk()
    Window(root, Assistant(options.model, options.session))
    root.mainloop()


if __name__ == "__main__":
    main()
