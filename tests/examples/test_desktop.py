"""The desktop example on a screen that nobody looks at."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

tkinter = pytest.importorskip("tkinter")
XVFB = shutil.which("Xvfb")
pytestmark = pytest.mark.skipif(XVFB is None, reason="needs Xvfb")
EXAMPLE = Path(__file__).parents[2] / "examples" / "desktop"


@pytest.fixture(scope="module")
def screen():
    """The name of an X display."""
    server = subprocess.Popen(
        [XVFB, "-displayfd", "1", "-screen", "0", "900x700x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    yield f":{server.stdout.readline().decode().strip()}"
    server.terminate()
    server.wait(20)


@pytest.fixture
def open_window(screen, tiny_file, tmp_path, monkeypatch):
    """Opens the example's window over the tiny model; at the end, all are closed."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from assistant import Assistant
    from window import Window

    opened = []

    def call(**options):
        root = tkinter.Tk(screenName=screen)
        opened.append(Window(root, Assistant(str(tiny_file), tmp_path / "talk", **options)))
        wait(opened[-1], lambda: opened[-1].status.get() == "ready")
        return opened[-1]

    yield call
    for window in opened:
        if exists(window):
            window.close()


def exists(window):
    try:
        return bool(window.root.winfo_exists())
    except tkinter.TclError:
        return False


def wait(window, reached, timeout_s=300):
    """Runs the window until reached()."""
    end = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < end, window.status.get()
        window.root.update()
        time.sleep(0.005)


def shown(window, kind):
    """The texts of one kind."""
    ranges = window.text.tag_ranges(kind)
    return [window.text.get(a, b) for a, b in zip(ranges[::2], ranges[1::2], strict=True)]


def ask(window, text):
    window.entry.insert(0, text)
    window.send_button.invoke()


def test_answer_streams_is_stopped_and_is_there_again_when_reopened(open_window):
    window = open_window(ignore_eos=True)
    ask(window, "Hello")
    wait(window, lambda: shown(window, "answer"))
    assert shown(window, "user") == ["Hello"] and window.send_button.instate(["disabled"])
    window.stop_button.invoke()
    wait(window, lambda: window.status.get().startswith("cancelled"))
    answer = "".join(shown(window, "answer"))
    assert window.send_button.instate(["!disabled"])
    window.close()

    window = open_window(max_tokens=5)
    assert shown(window, "user") == ["Hello"] and "".join(shown(window, "answer")) == answer
    ask(window, "More")
    wait(window, lambda: window.status.get().endswith("a second"))
    assert len(shown(window, "user")) == 2


def test_window_closes_in_the_middle_of_an_answer(open_window):
    before = threading.active_count()
    window = open_window(ignore_eos=True)
    ask(window, "Hello")
    wait(window, lambda: shown(window, "answer"))
    window.close()
    assert not exists(window)
    assert threading.active_count() == before


def test_wrong_model_is_told_of_in_the_window(screen, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from assistant import Assistant
    from window import Window

    window = Window(tkinter.Tk(screenName=screen), Assistant(str(tmp_path / "none.gguf"), tmp_path / "talk"))
    wait(window, lambda: "none.gguf" in window.status.get())
    assert window.send_button.instate(["disabled"])
    window.close()


def test_program_starts_and_ends(screen, tiny_file, tmp_path):
    code = (
        "import sys, runpy, tkinter\n"
        f"sys.path.insert(0, {str(EXAMPLE)!r})\n"
        "tkinter.Tk.mainloop = lambda root: (root.update(), root.tk.call('wm', 'protocol', '.', 'WM_DELETE_WINDOW'),\n"
        "    root.tk.eval(root.protocol('WM_DELETE_WINDOW')))\n"
        f"sys.argv = ['desktop', '-m', {str(tiny_file)!r}, '--session', {str(tmp_path / 'talk')!r}]\n"
        f"runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"DISPLAY": screen}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
