"""The window: it shows events and passes on what is pressed. Nothing in it waits."""

import queue
import tkinter as tk
from collections.abc import Callable
from tkinter import ttk

from assistant import Assistant, Event

POLL_MS = 30


class Window:
    """A conversation on the screen."""

    def __init__(self, root: tk.Tk, assistant: Assistant):
        self.root, self._assistant = root, assistant
        self._speaker = ""  # whose text comes last
        self._is_ready = False
        root.title("Kimi")
        root.minsize(520, 360)
        self.text = tk.Text(root, wrap="word", state="disabled", font=("TkDefaultFont", 11), padx=12, pady=8)
        self.text.tag_configure("user", font=("TkDefaultFont", 11, "bold"), spacing1=12)
        self.text.tag_configure("thinking", foreground="#888888", font=("TkDefaultFont", 10, "italic"))
        self.text.tag_configure("answer", spacing1=4)
        self.status = tk.StringVar(value="loading …")
        self.entry = ttk.Entry(root, font=("TkDefaultFont", 11))
        self.entry.bind("<Return>", lambda _: self.send())
        root.bind("<Escape>", lambda _: assistant.stop())
        row = ttk.Frame(root)
        self.send_button = ttk.Button(row, text="Send", command=self.send)
        self.now_button = ttk.Button(row, text="Answer now", command=assistant.answer_now)
        self.stop_button = ttk.Button(row, text="Stop", command=assistant.stop)
        for button in (self.send_button, self.now_button, self.stop_button):
            button.pack(side="left", padx=4, pady=4)
        self.bar = ttk.Progressbar(row, length=160)
        ttk.Label(row, textvariable=self.status).pack(side="right", padx=8)
        row.pack(side="bottom", fill="x")
        self.entry.pack(side="bottom", fill="x", padx=8, pady=4)
        self.text.pack(fill="both", expand=True)
        self._allow(send=False)
        self._show: dict[str, Callable] = {
            "loading": lambda at: self._progress("making ready", *at),
            "reading": lambda at: self._progress("reading", *at),
            "ready": self._ready,
            "thinking": lambda text: self._append("thinking", text),
            "answer": lambda text: self._append("answer", text),
            "ended": self._ended,
            "failed": self._ended,
        }
        root.protocol("WM_DELETE_WINDOW", self.close)
        self._timer = root.after(POLL_MS, self._poll)

    def send(self) -> None:
        """Asks what was typed."""
        question = self.entry.get().strip()
        if question and self.send_button.instate(["!disabled"]):
            self.entry.delete(0, "end")
            self._append("user", question)
            self._allow(send=False)
            self.status.set("…")
            self._assistant.ask(question)

    def close(self) -> None:
        """Ends the program; what was said is saved."""
        self.root.after_cancel(self._timer)
        self.root.withdraw()
        self._assistant.close()
        self.root.destroy()

    def _poll(self) -> None:
        """Shows what came since the last time."""
        try:
            while True:
                event: Event = self._assistant.events.get_nowait()
                self._show[event.kind](event.value)
        except queue.Empty:
            self._timer = self.root.after(POLL_MS, self._poll)

    def _ready(self, messages: list[dict]) -> None:
        self._is_ready = True
        for message in messages:
            if message["role"] == "user":
                self._append("user", message["content"])
                continue
            if message.get("reasoning_content"):
                self._append("thinking", message["reasoning_content"])
            self._append("answer", message["content"] or "")
        self._ended("ready")

    def _ended(self, sentence: str) -> None:
        self.bar.pack_forget()
        self.status.set(sentence)
        self._allow(send=self._is_ready)
        self.entry.focus_set()

    def _progress(self, what: str, done: int, total: int) -> None:
        self.bar.pack(side="right", padx=8)
        self.bar.configure(maximum=total, value=done)
        self.status.set(f"{what}: {done} of {total}")

    def _append(self, speaker: str, text: str) -> None:
        if speaker in ("thinking", "answer") and self.bar.winfo_ismapped():
            self.bar.pack_forget()
        at_end = self.text.yview()[1] >= 0.999
        self.text.configure(state="normal")
        if speaker != self._speaker or speaker == "user":
            self.text.insert("end", "\n" if self.text.index("end-1c") != "1.0" else "")
        self.text.insert("end", text, speaker)
        self.text.configure(state="disabled")
        self._speaker = speaker
        if at_end:
            self.text.see("end")

    def _allow(self, send: bool) -> None:
        """Sending, or else stopping."""
        self.send_button.state(["!disabled" if send else "disabled"])
        for button in (self.now_button, self.stop_button):
            button.state(["disabled" if send else "!disabled"])
