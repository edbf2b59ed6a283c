"""This engine's side of benchmarks/cache.py, through its Python API: a Worker's script."""

import tempfile
from pathlib import Path

import workers
from ours import Kimi
from rows import NEW_TOKENS
from workers import dropped, seconds


class Ours(Kimi):
    """Questions of benchmarks/cache.py, beside the rows."""

    def prefix(self, num_tokens: int) -> dict:
        """First token of a prompt, and of another one with the same beginning."""
        common = self.ids(num_tokens)
        anew, kept = (seconds(lambda: self._first_token(common + self.ids(NEW_TOKENS))) for _ in range(2))
        return {"anew": anew, "kept": kept}

    def samples(self, count: int, num_tokens: int) -> dict:
        """First tokens of one prompt, of its samples, and of as many different prompts."""
        anew = seconds(lambda: self._first_token(self.ids(num_tokens)))
        kept = seconds(lambda: self._first_tokens(self.llm.samples(self.ids(num_tokens), count, max_tokens=1)))
        prompts = [self.ids(num_tokens) for _ in range(count)]
        apart = seconds(lambda: self._first_tokens([self.llm.samples(p, max_tokens=1)[0] for p in prompts]))
        return {"anew": anew, "kept": kept, "apart": apart}

    def session(self, num_tokens: int) -> dict:
        """First token after a conversation that is computed, and after one that is loaded by a fresh engine."""
        ids, session = self.ids(num_tokens), self.llm.session()
        anew = seconds(lambda: list(self.llm.stream(ids, session=session, max_tokens=1, temperature=0)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "talk.session"
            session.save(path)
            self.llm.close()
            self.llm = self.load()
            dropped(path)
            kept = seconds(lambda: self._go_on(path, ids))
        return {"anew": anew, "kept": kept}

    def _go_on(self, path: Path, ids: list[int]) -> None:
        pieces = list(self.llm.stream(ids, session=self.llm.load_session(path), max_tokens=1, temperature=0))
        assert pieces[-1].usage.cached_tokens == len(ids) - 1

    def _first_token(self, ids: list[int]) -> None:
        self.llm.generate(ids, max_tokens=1, temperature=0)

    def _first_tokens(self, generations: list) -> None:
        for generation in generations:
            list(generation)


if __name__ == "__main__":
    workers.serve(Ours)
