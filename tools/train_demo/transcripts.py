"""python -m tools.train_demo.transcripts OUT.md: 60 first questions, asked at five doors, as a text to be read.

The doors are taken in turn: run, chat, simonw's llm, the server as its page speaks to it, and the example of a desktop
program; all with the bundled model and no options, as a newcomer meets them. Started again, it goes on.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
QUESTIONS = Path(__file__).with_name("first_questions.txt")
TIMEOUT_S = 120

Conversation = list[str]  # what is said, message by message
Door = Callable[[Conversation, Path], list[str]]  # (what is said, an empty folder) -> the answers


def main() -> None:
    parser = argparse.ArgumentParser(description="Asks 60 first questions, and writes the answers down.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--door", choices=list(DOORS), help="ask all of them there [default: at each door a fifth]")
    options = parser.parse_args()
    doors = [options.door] if options.door else list(DOORS)
    num_done = options.out.read_text("utf-8").count("\n## ") if options.out.exists() else 0
    with options.out.open("a", encoding="utf-8") as out:
        for i, said in list(enumerate(conversations()))[num_done:]:
            door = doors[i % len(doors)]
            with tempfile.TemporaryDirectory() as folder:
                answers = DOORS[door](said, Path(folder))
            pairs = (f"> {message}\n\n{answer.strip()}\n\n" for message, answer in zip(said, answers, strict=True))
            out.write(f"\n## {i + 1}. {door}\n\n" + "".join(pairs))
            out.flush()


def conversations() -> list[Conversation]:
    """The questions of the file beside this one."""
    lines = [line for line in QUESTIONS.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [part.splitlines() for part in "\n".join(lines).strip().split("\n\n")]


def _printed(command: list[str], folder: Path, text: str = "") -> str:
    """What a command prints, its home being an empty folder but for the compiled kernels."""
    places = {"LLM_USER_PATH": str(folder), "XDG_DATA_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=os.environ | places,
        check=False,
    )
    return done.stdout if done.returncode == 0 else f"(exit code {done.returncode}) {done.stdout}{done.stderr}"


def at_run(said: Conversation, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "kimi_cpu", "run", "--session", str(folder / "talk")]
    return [_printed([*command, message], folder) for message in said]


def at_chat(said: Conversation, folder: Path) -> list[str]:
    """One process for each beginning of the conversation, as its answers are not told apart on stdout."""
    command = [sys.executable, "-m", "kimi_cpu", "chat", "--session", str(folder / "talk")]
    return [_printed(command, folder, message + "\n") for message in said]


def at_llm(said: Conversation, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "llm"]
    first, *others = said
    answers = [_printed([*command, "-m", "kimi-cpu", first], folder)]
    return answers + [_printed([*command, "-c", message], folder) for message in others]


def at_page(said: Conversation, folder: Path) -> list[str]:
    """The requests of the page: all messages each time, without sampling."""
    with subprocess.Popen(
        [sys.executable, "-m", "kimi_cpu", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            address = next(word for line in server.stderr for word in line.split() if word.startswith("http://"))
            next(line for line in server.stderr if line.rstrip().endswith("is ready"))
            messages: list[dict[str, str]] = []
            for message in said:
                messages.append({"role": "user", "content": message})
                body = {"model": "kimi-cpu", "messages": messages}
                reply = httpx.post(address.rstrip("/.") + "/v1/chat/completions", json=body, timeout=TIMEOUT_S).json()
                messages.append({"role": "assistant", "content": reply["choices"][0]["message"]["content"] or ""})
        finally:
            server.terminate()
    return [m["content"] for m in messages if m["role"] == "assistant"]


def at_desktop(said: Conversation, folder: Path) -> list[str]:
    """The example's conversation without its window."""
    sys.path.insert(0, str(ROOT / "examples" / "desktop"))
    from assistant import Assistant

    assistant = Assistant(None, folder / "talk")
    try:
        return [_answer(assistant, message) for message in said]
    finally:
        assistant.close()


def _answer(assistant, message: str) -> str:
    assistant.ask(message)
    text = ""
    while True:
        event = assistant.events.get(timeout=TIMEOUT_S)
        if event.kind == "answer":
            text += event.value
        elif event.kind == "failed":
            return f"(failed) {event.value}"
        elif event.kind == "ended":
            return text


DOORS: dict[str, Door] = {"run": at_run, "chat": at_chat, "llm": at_llm, "page": at_page, "desktop": at_desktop}


if __name__ == "__main__":
    main()
