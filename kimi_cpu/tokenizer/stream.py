"""Text out of ids that come one by one."""

import codecs

from .tokenizer import Tokenizer


class StreamDecoder:
    """Turns ids into text as they come. A character that spans tokens is held back until its last byte; all that is
    returned, joined, is Tokenizer.decode of all ids."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The characters that this id completes, perhaps none. TokenizerError: no such id."""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        """What is still held back, as U+FFFD: the stream ended inside a character. The decoder can be used again."""
        return self._decoder.decode(b"", final=True)
