"""Writes a tokenizer of the 256 single bytes in Kimi's format into a checkpoint directory.

    python tools/make_byte_tokenizer.py DIRECTORY

Byte b is id b; the special tokens have Kimi K2 Thinking's names and are ids 256..511.
"""

import argparse
import json
from base64 import b64encode
from pathlib import Path

from kimi_cpu.tokenizer import Tokenizer


def main(directory: Path) -> None:
    """Writes tiktoken.model and tokenizer_config.json."""
    ranks = b"".join(b"%s %d\n" % (b64encode(bytes([value])), value) for value in range(256))
    (directory / "tiktoken.model").write_bytes(ranks)
    names = Tokenizer(ranks).special_tokens
    decoder = {str(i): {"content": name, "special": True} for name, i in names.items() if "reserved" not in name}
    config = {"added_tokens_decoder": decoder, "tokenizer_class": "TikTokenTokenizer"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    main(parser.parse_args().directory)
