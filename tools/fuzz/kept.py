"""What programs keep for later: sessions, entries of the cache on disk, and journals of conversions and batches."""

import json
import os
import shutil
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from zlib import crc32

import kimi_cpu
from kimi_cpu.batch import BatchOptions, Run
from kimi_cpu.batch.answers import LanguageModel
from kimi_cpu.conversion import convert
from kimi_cpu.engine.disk_store import HEAD_BYTES, MAGIC
from kimi_cpu.engine.session_file import BLOCK, DATA_AT, INDEX, SLOT
from kimi_cpu.errors import ConfigError, DoesNotFit, Interrupted, NonFiniteLogits, SessionError

from . import model_files, values
from .model_files import CHECKPOINT
from .outcome import ANSWERED, IDS, REFUSED, Fault, attempt

MODEL = "model.gguf"
QUESTION = {"role": "user", "content": "Tell me a story of a fox. " * 12}
GREEDY = {"temperature": 0, "no_think": True}
PROMPT = [i % 512 for i in range(7, 207)]
URL = "/v1/chat/completions"
LINES = (
    *("", "part", "part 1", "part x y", "part 99999999 0"),
    *("unit 0 00", "unit -1 " + "0" * 64, "synced 99", "synced -1"),
)


@cache
def _llm(model: Path) -> kimi_cpu.LLM:
    """The model of this process."""
    return kimi_cpu.load(model, threads=1, chunk=64)


def _model(folder: Path) -> Path:
    convert(CHECKPOINT, folder / MODEL)
    return folder / MODEL


def _copy(folder: Path, path: Path) -> None:
    """A case's own folder, with everything but the model, which is linked."""
    shutil.copytree(folder, path, ignore=shutil.ignore_patterns(MODEL))
    (path / MODEL).symlink_to(folder / MODEL)


def _damaged(rng: Random, file: Path) -> None:
    """Another content of a file, or something else in its place."""
    if rng.random() < 0.75:
        file.write_bytes(values.change_bytes(rng, file.read_bytes()))
        return
    file.unlink()
    rng.choice([Path.mkdir, os.mkfifo, Path.touch, lambda path: path.symlink_to("/dev/zero")])(file)


class Sessions:
    """Session files."""

    FILE = "talk.session"
    FIELDS = ("version", "model", "cache", "page_bytes")

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """Two saves, of which the second one keeps a part of the first."""
        with kimi_cpu.load(_model(folder), threads=1, chunk=64) as llm:
            session, messages = llm.session(), [QUESTION]
            for _ in range(2):
                answer = llm.chat(messages, session=session, max_tokens=20, **GREEDY)
                session.save(folder / cls.FILE)
                messages += [answer.message(), QUESTION]
        (folder / "messages.json").write_text(json.dumps(messages))

    @classmethod
    def make(cls, rng: Random, folder: Path, path: Path) -> None:
        _copy(folder, path)
        file = path / cls.FILE
        if rng.random() < 0.4:
            _damaged(rng, file)
        elif rng.random() < 0.4:
            cls._change_header(rng, file)
        else:
            cls._change_index(rng, file)

    @classmethod
    def _change_header(cls, rng: Random, file: Path) -> None:
        """Other fields, with the right checksum."""
        data = file.read_bytes()
        header = json.loads(data[:BLOCK])
        header.pop("crc")
        values.change_json(rng, header, cls.FIELDS)
        with suppress(ValueError):
            header["crc"] = crc32(json.dumps(header).encode())
        line = values.dumped(header).encode() + b"\n"
        file.write_bytes(line.ljust(BLOCK, b" ")[:BLOCK] + data[BLOCK:])

    @classmethod
    def _change_index(cls, rng: Random, file: Path) -> None:
        """Other numbers or tokens of the newest index, with the right checksums."""
        data = bytearray(file.read_bytes())
        (serial, at, num_bytes, _, _), block = max((SLOT.unpack_from(data, n * BLOCK), n) for n in (1, 2))
        index = data[at : at + num_bytes]
        if rng.random() < 0.3:
            index[rng.randrange(num_bytes)] = rng.randrange(256)
        else:
            numbers = list(INDEX.unpack_from(index))
            for _ in range(rng.choice([1, 1, 2])):
                which = rng.randrange(len(numbers))
                changed = values.value(rng, numbers[which])
                bits = 32 if which == 2 else 64
                numbers[which] = changed % 2**bits if type(changed) is int else 0
            INDEX.pack_into(index, 0, *numbers)
        slot = SLOT.pack(serial, at, num_bytes, crc32(index), 0)[:-4]
        data[at : at + num_bytes] = index
        data[BLOCK:DATA_AT] = bytes(2 * BLOCK)
        data[block * BLOCK : block * BLOCK + SLOT.size] = slot + crc32(slot).to_bytes(4, "little")
        file.write_bytes(data)

    @classmethod
    def use(cls, path: Path) -> str:
        llm = _llm((path / MODEL).resolve())
        session, refusal = attempt(lambda: llm.load_session(path / cls.FILE), SessionError, names=str(path))
        messages = json.loads((path / "messages.json").read_text())
        allowed = [NonFiniteLogits] if session else [SessionError]  # latents of a page may be anything
        _, error = attempt(lambda: llm.chat(messages, session=session, max_tokens=2, **GREEDY), *allowed)
        llm.generate(IDS, max_tokens=1, temperature=0)
        return REFUSED if refusal or error else ANSWERED


class CacheEntries:
    """A directory of the cache on disk: whatever is in it, the answer comes."""

    @staticmethod
    def _answer(model: Path, directory: Path) -> list[int]:
        with kimi_cpu.load(model, threads=1, chunk=64, cache_dir=directory, cache_disk="64MiB") as llm:
            ids = list(llm.generate(PROMPT, max_tokens=3, temperature=0).token_ids)
            end = time.monotonic() + 1
            while len(list(directory.glob("*/*.page"))) < len(PROMPT) // 64 and time.monotonic() < end:
                time.sleep(0.01)  # pages are written when nothing else runs
            return ids

    @classmethod
    def prepare(cls, folder: Path) -> None:
        (folder / "ids.json").write_text(json.dumps(cls._answer(_model(folder), folder / "cache")))

    @classmethod
    def make(cls, rng: Random, folder: Path, path: Path) -> None:
        _copy(folder, path)
        entries = sorted((path / "cache").glob("*/*.page"))
        for file in rng.sample(entries, rng.randrange(1, len(entries) + 1)):
            action = rng.randrange(4)
            if action == 0:
                body = bytearray(file.read_bytes()[HEAD_BYTES:])
                body[rng.randrange(320)] ^= 1  # of the tokens: the file is another's, and whole
                file.write_bytes(MAGIC + crc32(body).to_bytes(4, "little") + body)
            elif action == 1:
                file.rename(file.with_name(rng.choice(["x.page", "-.page", "a" * 32 + "-.page", ".partial"])))
            else:
                _damaged(rng, file)

    @classmethod
    def use(cls, path: Path) -> str:
        if cls._answer((path / MODEL).resolve(), path / "cache") != json.loads((path / "ids.json").read_text()):
            raise Fault("another answer than without the cache")
        return ANSWERED


class Journals:
    """Journals of conversions and of batches that were interrupted, and the outputs beside them."""

    @classmethod
    def prepare(cls, folder: Path) -> None:
        _model(folder)
        shutil.copytree(CHECKPOINT, folder / "checkpoint")

        def interrupt(done: int, total: int, name: str) -> None:
            if done > total // 2:
                raise KeyboardInterrupt

        with suppress(Interrupted):
            convert(folder / "checkpoint", folder / "out.gguf", jobs=1, progress=interrupt)
        bodies = [{"messages": [{"role": "user", "content": "a" * i}]} for i in range(1, 7)]
        lines = [{"custom_id": f"{i}", "method": "POST", "url": URL, "body": body} for i, body in enumerate(bodies)]
        (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with kimi_cpu.load(folder / MODEL, threads=1, chunk=64) as llm:
            cls._interrupt(cls._run(llm, folder), folder / "out.jsonl")

    @staticmethod
    def _run(llm: kimi_cpu.LLM, folder: Path) -> Run:
        model = LanguageModel(llm, 0, {"max_tokens": 40, "temperature": 0.0}, {})
        return Run([model], folder / "in.jsonl", folder / "out.jsonl", BatchOptions(parallel=2))

    @staticmethod
    def _interrupt(run: Run, output: Path) -> None:
        """Begins a batch, and stops it when there is a result."""
        thread = threading.Thread(target=run.run)
        thread.start()
        while not (output.exists() and output.stat().st_size) and thread.is_alive():
            time.sleep(0.001)
        run.stop()
        thread.join()

    @classmethod
    def make(cls, rng: Random, folder: Path, path: Path) -> None:
        _copy(folder, path)
        kept = sorted(file for file in path.iterdir() if file.name.startswith("out."))
        for file in rng.sample(kept, rng.choice([1, 1, 2])):
            if file.name == "out.gguf.journal" and rng.random() < 0.6:
                lines = file.read_text().splitlines()
                lines[rng.randrange(len(lines))] = rng.choice(LINES)
                file.write_text("\n".join(lines) + "\n")
            else:
                _damaged(rng, file)

    @classmethod
    def use(cls, path: Path) -> str:
        allowed, source, out = (ConfigError, DoesNotFit), path / "checkpoint", path / "out.gguf"
        _, refusal = attempt(lambda: convert(source, out, resume=True, jobs=1), *allowed, names=str(path))
        if refusal is None:
            with kimi_cpu.load(out, threads=1, chunk=32) as llm:
                model_files.run(llm, damage="not looked for")
        llm = _llm((path / MODEL).resolve())
        _, other = attempt(lambda: cls._run(llm, path).run(), *allowed, names=str(path))
        return REFUSED if refusal or other else ANSWERED
