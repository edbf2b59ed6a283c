"""Text of a model's on its way to a terminal, which it could command."""

from typing import TextIO

PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
PICTURES |= {127: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)  # Unicode has no pictures of C1 controls


def harmless(text: str, stream: TextIO) -> str:
    """A text for a stream: control characters become pictures where it is a terminal."""
    return text.translate(PICTURES) if stream.isatty() else text
