"""Kinds of files by their first bytes, so that an error can say what a file is that is not what it was taken for."""

import re
from typing import NamedTuple

HEAD_BYTES = 512  # that decide: tar's magic is the last, at 257
AGAIN = "download it again"
CHECKPOINT = "kimi-cpu convert takes the directory that it is in"
MAGIC = (  # position, first bytes, what it is, what to do. The first that fits.
    (0, b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself (git lfs pull, or hf download)"),
    (0, b"GGUF", "a GGUF file", "name the file that is asked for"),
    (0, b"lmgg", "a GGML file from before GGUF", "convert its checkpoint"),
    (0, b"fmgg", "a GGML file from before GGUF", "convert its checkpoint"),
    (0, b"tjgg", "a GGML file from before GGUF", "convert its checkpoint"),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it (gzip -d)"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it (zstd -d)"),
    (0, b"\xfd7zXZ\0", "compressed with xz", "unpack it (xz -d)"),
    (4, b"1AY&SY", "compressed with bzip2", "unpack it (bzip2 -d)"),
    (0, b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it (lz4 -d)"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it (7z x)"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it (unrar x)"),
    (257, b"ustar", "a tar archive", "unpack it (tar -xf)"),
    (0, b"PK\x05\x06", "an empty ZIP archive", AGAIN),
    (0, b"\x93NUMPY", "a NumPy array", "name the file that is asked for"),
    (0, b"\x89HDF\r\n", "an HDF5 file", "take the checkpoint in safetensors"),
    (0, b"\x00\x05\x16\x07", "a file of attributes that macOS leaves (._)", "name the file beside it"),
    (0, b"\xff\xfe\0\0", "text in UTF-32", "save it as UTF-8 (iconv -f UTF-32 -t UTF-8)"),
    (0, b"\xff\xfe", "text in UTF-16", "save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (0, b"\xfe\xff", "text in UTF-16", "save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
)
PYTORCH = (
    "take the checkpoint in safetensors (transformers: save_pretrained), since reading pickles runs what is in them"
)
JSON = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{][\s\"\[{\]}]")
TEXT = "text in UTF-8"
PLAIN = re.compile(rb"[\t\r\n\x20-\x7e]+")


class FileType(NamedTuple):
    """what: as a sentence says it after "this is"; remedy: what to do."""

    what: str
    remedy: str


def recognised(head: bytes) -> FileType | None:
    """The type of a file that begins with these HEAD_BYTES bytes, if they say so; text in UTF-8 is nothing special."""
    for at, magic, what, remedy in MAGIC:
        if head.startswith(magic, at):
            return FileType(what, remedy)
    if head.startswith(b"PK\x03\x04"):
        is_pytorch = b"/data.pkl" in head
        return FileType("a PyTorch file", PYTORCH) if is_pytorch else FileType("a ZIP archive", "unpack it (unzip)")
    if re.match(rb"\x80[\x02-\x05]", head):
        return FileType("a Python pickle, as PyTorch once wrote them", PYTORCH)
    if re.match(rb"(?s)....[\0-\x05]\0\0\0\{", head):
        return FileType("a safetensors file", CHECKPOINT)
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|\?xml)", head, re.IGNORECASE):
        return FileType("a web page, such as a login or an error", AGAIN)
    if not head:
        return FileType("an empty file", AGAIN)
    if len(head) >= 16 and not any(head):
        return FileType("zeros, as a download leaves that was not finished", AGAIN)
    for order, zeros, others in (("LE", head[1:64:2], head[0:64:2]), ("BE", head[0:64:2], head[1:64:2])):
        if len(head) >= 4 and not any(zeros) and all(others):
            return FileType("text in UTF-16", f"save it as UTF-8 (iconv -f UTF-16{order} -t UTF-8)")
    return None


def decoded(data: bytes) -> str:
    """Text in UTF-8, without its byte order mark. ValueError, saying what the data is, for anything else."""
    head = data[:HEAD_BYTES]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise ValueError(other_kind(head, TEXT) or f"this is no text in UTF-8 (byte {e.start}).") from None
    other = other_kind(head, TEXT) if b"\0" in head else None  # text in UTF-16 without a mark
    if other is not None:
        raise ValueError(other)
    return text


def other_kind(head: bytes, wanted: str) -> str | None:
    """The words of an error on a file that begins so and is recognised as something else than was wanted."""
    return None if recognised(head) is None else mistaken(head, wanted)


def mistaken(head: bytes, wanted: str) -> str:
    """The words of an error on a file that begins so and is not what was wanted: what it is, and what to do."""
    found = recognised(head) or _text(head)
    if found is None:
        return f"this is no {wanted}; {AGAIN}."
    return f"this is {found.what}, and no {wanted}; {found.remedy}."


def is_text(head: bytes) -> bool:
    """Whether a file that begins so is text, such as the words of a server that did not send the file."""
    return PLAIN.fullmatch(head) is not None


def _text(head: bytes) -> FileType | None:
    if JSON.match(head) and b'"error"' not in head:
        return FileType("JSON", CHECKPOINT)
    return FileType(f"text that begins with {head[:40].decode('ascii')!r}", AGAIN) if is_text(head) else None
