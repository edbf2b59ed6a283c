"""A peer's side of benchmarks/cache.py: a Worker's script. Sequences are numbers that the caller keeps."""

import tempfile
from pathlib import Path

import workers
from peers import Peer
from rows import NEW_TOKENS
from workers import dropped, seconds


class Theirs(Peer):
    """Questions of benchmarks/cache.py, beside the rows."""

    def prefix(self, num_tokens: int) -> dict:
        """First token of a prompt, and of another one with the same beginning."""
        self.clear()
        anew = seconds(lambda: self.prompt(num_tokens + NEW_TOKENS, 0))
        self.llama.forget(0, num_tokens)
        return {"anew": anew, "kept": seconds(lambda: self.prompt(NEW_TOKENS, num_tokens))}

    def samples(self, count: int, num_tokens: int) -> dict:
        """First tokens of one prompt, of its samples, which all follow from its logits, and of different prompts."""
        self.clear()
        anew = seconds(lambda: self.prompt(num_tokens, 0))
        self.clear()

        def shared() -> None:
            self.prompt(num_tokens, 0)
            for sequence in range(1, count):
                self.llama.copy(0, sequence)

        kept = seconds(shared)
        self.clear()
        apart = seconds(lambda: [self.prompt(num_tokens, 0, sequence) for sequence in range(count)])
        return {"anew": anew, "kept": kept, "apart": apart}

    def session(self, num_tokens: int) -> dict:
        """First token after a conversation that is computed, and after one that is loaded from disk."""
        self.clear()
        anew = seconds(lambda: self.prompt(num_tokens, 0))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "talk.state"
            self.llama.save(str(path), num_tokens)
            self.clear()
            dropped(path)

            def restore() -> None:
                self.llama.restore(str(path), num_tokens)
                self.generate(1, num_tokens, 1)

            kept = seconds(restore)
        self.clear()
        return {"anew": anew, "kept": kept}


if __name__ == "__main__":
    workers.serve(Theirs)
