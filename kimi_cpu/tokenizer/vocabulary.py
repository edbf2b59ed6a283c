"""The vocabulary: the base tokens of a tiktoken rank file, and the 256 control tokens after them, found by name.

The rank file becomes a SentencePiece BPE model: the same merges in the same order, in a fast library.

SentencePiece merges characters and tiktoken merges bytes, so every byte becomes one character, by the map that GPT-2
introduced (openai/gpt-2, encoder.py, bytes_to_unicode). The score is minus the rank: SentencePiece merges the pair of
the best score first and the leftmost of equals, tiktoken the pair of the lowest rank and the leftmost of equals.
"""

import struct
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import cache

import numpy as np

from ..errors import TokenizerError

# Bytes that print stand for themselves, the other 68 for U+0100 and on, in order (gpt-2, encoder.py).
PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
CHARACTERS = np.zeros(256, "<u2")  # byte -> code point
CHARACTERS[PRINTABLE] = PRINTABLE
CHARACTERS[np.setdiff1d(np.arange(256), PRINTABLE)] = np.arange(0x100, 0x100 + 256 - len(PRINTABLE))
BYTES = {chr(c): i for i, c in enumerate(CHARACTERS.tolist())}  # character -> byte

UNKNOWN_PIECE = "\ufffd"  # SentencePiece demands one; no byte maps to it
UNKNOWN, BPE = 2, 2  # sentencepiece_model.proto: SentencePiece.Type.UNKNOWN, TrainerSpec.ModelType.BPE

NUM_SPECIAL_TOKENS = 256  # tokenization_kimi.py: num_reserved_special_tokens
KIMI_NUM_BASE = 163_584  # lines of Kimi K2's tiktoken.model
KIMI_NAMES = {  # offset from the base vocabulary -> text, as in K2 Thinking's tokenizer_config.json
    0: "[BOS]",
    1: "[EOS]",
    2: "<|im_end|>",
    3: "<|im_user|>",
    4: "<|im_assistant|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    9: "[EOT]",
    10: "<|im_system|>",
    11: "<|tool_calls_section_begin|>",
    12: "<|tool_calls_section_end|>",
    13: "<|tool_call_begin|>",
    14: "<|tool_call_argument_begin|>",
    15: "<|tool_call_end|>",
    17: "<|im_middle|>",
    22: "<think>",
    23: "</think>",
    254: "[UNK]",
    255: "[PAD]",
}
EOS_NAMES = ("<|im_end|>", "[EOS]")  # generation_config.json and config.json of K2 Thinking


def read_ranks(ranks: bytes, name: str = "The rank file") -> list[bytes]:
    """Token bytes by id, from the lines `base64 rank` of a tiktoken file. TokenizerError: ranks that are not
    0..n-1 each once, a token twice, or one of the 256 bytes missing."""
    fields = ranks.split()
    try:
        tokens = list(map(a2b_base64, fields[0::2]))
        order = list(map(int, fields[1::2]))
    except (Base64Error, ValueError) as error:
        raise TokenizerError(f"{name} is not a tiktoken rank file ({error}). Fetch it again.") from error
    if not tokens or len(tokens) != len(order) or sorted(order) != list(range(len(tokens))):
        raise TokenizerError(f"{name} does not give the ranks 0, 1, 2, ... once each. Fetch it again.")
    by_rank = [token for _, token in sorted(zip(order, tokens, strict=True))] if order[-1] != len(order) - 1 else tokens
    distinct = set(by_rank)
    if len(distinct) != len(by_rank) or not all(bytes([i]) in distinct for i in range(256)):
        raise TokenizerError(f"{name} holds a token twice or lacks one of the 256 single bytes. Fetch it again.")
    return by_rank


def compile_sentencepiece(ranks: bytes) -> bytes:
    """A serialized SentencePiece ModelProto whose piece i is the token of rank i, and one unknown piece after them.
    ranks: the content of a tiktoken file. Text is to be mapped by `byte_characters` first."""
    pieces = byte_characters(read_ranks(ranks))
    model = bytearray()
    for rank, piece in enumerate(pieces):
        body = _bytes_field(1, piece.encode()) + struct.pack("<Bf", 2 << 3 | 5, -rank)  # piece = 1, float score = 2
        model += _bytes_field(1, body)  # ModelProto.pieces = 1
    unknown = _bytes_field(1, UNKNOWN_PIECE.encode()) + struct.pack("<Bf", 2 << 3 | 5, 0) + _int_field(3, UNKNOWN)
    model += _bytes_field(1, unknown)
    trainer = _int_field(3, BPE) + _int_field(40, len(pieces))
    trainer += b"".join(_int_field(number, -1) for number in (41, 42, 43))  # no bos_id, eos_id, pad_id
    model += _bytes_field(2, trainer)  # ModelProto.trainer_spec = 2: model_type = 3, unk_id = 40
    normalizer = _bytes_field(1, b"identity") + b"".join(_int_field(number, 0) for number in (3, 4, 5))
    model += _bytes_field(3, normalizer)  # normalizer_spec = 3: no dummy prefix, spaces neither removed nor escaped
    return bytes(model)


def byte_characters(strings: list[bytes]) -> list[str]:
    """Each byte string as text of one character a byte."""
    text = CHARACTERS[np.frombuffer(b"".join(strings), np.uint8)].tobytes().decode("utf-16-le")
    ends = np.cumsum([len(string) for string in strings]).tolist()
    return [text[end - len(string) : end] for string, end in zip(strings, ends, strict=True)]


def characters_to_bytes(piece: str) -> bytes:
    """The inverse of `byte_characters` for one piece. TokenizerError: a character that stands for no byte."""
    try:
        return bytes([BYTES[character] for character in piece])
    except KeyError as error:
        raise TokenizerError(f"The token {piece!r} is not in GPT-2's byte form. Convert the model again.") from error


@cache
def _varint(number: int) -> bytes:
    """Protocol Buffers' base-128 number; negative ones as 64-bit two's complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _int_field(field: int, number: int) -> bytes:
    """An int32, bool or enum field on the wire."""
    return _varint(field << 3) + _varint(number)


def _bytes_field(field: int, value: bytes) -> bytes:
    """A string, bytes or message field on the wire."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def special_tokens_from_config(tokenizer_config: dict | None, num_base: int) -> dict[str, int]:
    """Text -> id of the 256 ids from num_base on: named in added_tokens_decoder, the rest `<|reserved_token_ID|>`.
    None: Kimi K2 Thinking's names, wherever the base vocabulary ends. TokenizerError: a name that is empty, given
    twice or for an id outside these 256. Source: tokenization_kimi.py, TikTokenTokenizer.__init__."""
    if tokenizer_config is None:
        names = {num_base + offset: text for offset, text in KIMI_NAMES.items()}
    else:
        names = _names(tokenizer_config)
    for token_id, text in names.items():
        if not num_base <= token_id < num_base + NUM_SPECIAL_TOKENS:
            raise TokenizerError(
                f"The tokenizer configuration names id {token_id} {text!r}, which is not one of the "
                f"{NUM_SPECIAL_TOKENS} ids from {num_base} on. Use the configuration that belongs to the rank file."
            )
    ids = range(num_base, num_base + NUM_SPECIAL_TOKENS)
    specials = {names.get(i, f"<|reserved_token_{i}|>"): i for i in ids}
    if len(specials) != NUM_SPECIAL_TOKENS or "" in specials:
        raise TokenizerError("The tokenizer configuration gives one special token's text twice, or an empty one.")
    return specials


def _names(tokenizer_config: dict) -> dict[int, str]:
    """Id -> text of added_tokens_decoder."""
    try:
        decoder = tokenizer_config.get("added_tokens_decoder", {})
        names = {int(token_id): token["content"] for token_id, token in decoder.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TokenizerError(f"added_tokens_decoder in the tokenizer configuration is malformed: {error!r}.") from error
    try:
        "".join(names.values()).encode()
    except (TypeError, UnicodeEncodeError) as error:
        raise TokenizerError(f"added_tokens_decoder in the tokenizer configuration holds no text: {error}.") from error
    return names
