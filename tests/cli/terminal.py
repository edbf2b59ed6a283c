"""kimi-cpu on a terminal, as a person has it."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 100, 40


class Terminal:
    """A command whose stdin, stdout and stderr are a terminal; output is all that it wrote."""

    def __init__(self, *args, **env):
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (HEIGHT, WIDTH))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kimi_cpu", *map(str, args)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"} | env,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.output = b""
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self):
        """The lines on the screen, without those that are empty."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def type(self, keys):
        """Sends keys."""
        os.write(self._master, keys.encode())

    def wait(self, reached, timeout_s=60):
        """Until reached(lines of the screen); returns the lines."""
        end = time.monotonic() + timeout_s
        while not reached(self.lines):
            assert time.monotonic() < end, "\n".join(self.lines)
            self._read(0.05)
        return self.lines

    def ask(self, text):
        """Types a line at the prompt, and waits for the next prompt; returns what is between the two."""
        self.wait(lambda lines: lines[-1:] == [">>>"])
        before = len(self.lines)
        self.type(text + "\r")
        lines = self.wait(lambda lines: len(lines) > before and lines[-1] == ">>>")
        return lines[before:-1]

    def exit_code(self, timeout_s=60):
        """Of the command, when it has ended."""
        end = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < end, "\n".join(self.lines)
            self._read(0.05)
        self._read(0)
        return self.process.returncode

    def _read(self, timeout_s):
        if select.select([self._master], [], [], timeout_s)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other end was closed
                time.sleep(0.01)
                return
            self.output += data
            self._stream.feed(data)
