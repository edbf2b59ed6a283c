"""Rows of llama.cpp and ik_llama.cpp: a Worker's script, run by the interpreter in which the peer is installed."""

from importlib.metadata import version

import numpy as np
import workers
from libraries import installed
from rows import BATCH_DEPTH, BATCH_STEPS, MAX_SEQUENCES, PIECE, PROMPT_STEP, parse
from workers import seconds


class Peer:
    """Rows of a peer, measured as llama-bench measures. settings: path, threads, context, mapped: the file's pages are
    the weights, which are not repacked (default: false)."""

    def __init__(self, settings: dict):
        num_tokens = max(settings["context"], (BATCH_DEPTH + 64) * MAX_SEQUENCES)
        self.llama = installed()(settings["path"], settings["threads"], num_tokens, settings.get("mapped", False))
        self._batch = self.llama.api.llama_batch_init(PROMPT_STEP, 0, 1)
        self._random = np.random.default_rng()
        self._held: tuple[int, ...] = ()  # tokens of each sequence that rows go on from

    def about(self) -> dict:
        """Version, flags, and the instructions that it was built for."""
        llama = self.llama
        return {"version": f"{llama.PACKAGE} {version(llama.PACKAGE)}", "flags": llama.FLAGS, "built": llama.built}

    def piece(self, name: str, turn: int) -> dict:
        """Tokens a second of the turn's piece of a row."""
        row = parse(name)
        if row.kind == "x":
            return {"rate": self._together(row.count)}
        self._hold((row.depth,))
        if row.kind == "pp":
            return {"rate": row.count / seconds(lambda: self.prompt(row.count, row.depth))}
        begin, count = row.begin(turn), min(PIECE, row.count)
        self.prompt(begin - row.depth, row.depth)
        self.generate(1, begin, 1)
        return {"rate": count / seconds(lambda: self.generate(1, begin + 1, count))}

    def requests(self, count: int, sequences: int, prompt: int, answer: int) -> dict:
        """Generated tokens a second: `count` greedy requests of random ids, `sequences` at once, in lockstep."""
        todo = np.random.default_rng(0).integers(10, self.llama.vocabulary - 300, (count, prompt))
        self._lockstep(todo[:sequences], 2)
        parts = [todo[i : i + sequences] for i in range(0, count, sequences)]
        return {"rate": count * answer / seconds(lambda: [self._lockstep(part, answer) for part in parts])}

    def _lockstep(self, todo: np.ndarray, answer: int) -> None:
        self.clear()
        prompt, drawn = todo.shape[1], {}
        prompts = [[(s, p, int(i), p == prompt - 1) for p, i in enumerate(ids)] for s, ids in enumerate(todo)]
        at_once = PROMPT_STEP // prompt if self.llama.MIXES_PROMPTS else 1
        for first in range(0, len(prompts), at_once):
            drawn |= self._draw([token for tokens in prompts[first : first + at_once] for token in tokens])
        for step in range(answer - 1):
            drawn = self._draw([(s, prompt + step, drawn[s], True) for s in range(len(todo))])

    def _together(self, sequences: int) -> float:
        self._hold((BATCH_DEPTH,) * sequences)
        self.generate(sequences, BATCH_DEPTH, 1)
        time_s = seconds(lambda: self.generate(sequences, BATCH_DEPTH + 1, BATCH_STEPS))
        return sequences * BATCH_STEPS / time_s

    def _hold(self, lengths: tuple[int, ...]) -> None:
        """Sequences of so many tokens, and nothing else."""
        if self._held != lengths:
            self.clear()
            for sequence, length in enumerate(lengths):
                some = min(length, PROMPT_STEP)
                self.prompt(some, 0, sequence)
                if some < length and not self.llama.extend(some, length):
                    self.prompt(length - some, some, sequence)
            self._held = lengths
        for sequence, length in enumerate(lengths):
            self.llama.forget(sequence, length)

    def clear(self) -> None:
        """Forgets all sequences."""
        self.llama.clear()
        self._held = ()

    def prompt(self, count: int, begin: int, sequence: int = 0) -> None:
        """Random tokens from a position on; logits of the last one."""
        for first in range(0, count, PROMPT_STEP):
            places = range(first, min(count, first + PROMPT_STEP))
            self._decode([(sequence, begin + i, self._id(), i == count - 1) for i in places])

    def generate(self, sequences: int, begin: int, steps: int) -> None:
        """Steps of one random token a sequence."""
        for position in range(begin, begin + steps):
            self._decode([(s, position, self._id(), True) for s in range(sequences)])

    def _id(self) -> int:
        return int(self._random.integers(self.llama.vocabulary))

    def _draw(self, tokens: list[tuple[int, int, int, bool]]) -> dict[int, int]:
        """A step, and the likeliest ids, by sequence, where logits are wanted."""
        self._decode(tokens)
        llama, drawn = self.llama, {}
        for i, (sequence, _, _, wanted) in enumerate(tokens):
            if wanted:
                row = np.ctypeslib.as_array(llama.api.llama_get_logits_ith(llama.context, i), (llama.vocabulary,))
                drawn[sequence] = int(row.argmax())
        return drawn

    def _decode(self, tokens: list[tuple[int, int, int, bool]]) -> None:
        """A step over (sequence, position, id, whether logits are wanted)."""
        batch, llama = self._batch, self.llama
        batch.n_tokens = len(tokens)
        for i, (sequence, position, token_id, wanted) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token_id, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        if llama.api.llama_decode(llama.context, batch):
            raise SystemExit("llama_decode failed")
        llama.wait()


if __name__ == "__main__":
    workers.serve(Peer)
