"""Native model files: every field of the header, with the right hashes of what is wrong, and every kind of weight."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np

import kimi_cpu
from kimi_cpu.conversion import convert
from kimi_cpu.conversion.inspect import inspect, preview
from kimi_cpu.conversion.verify import verify
from kimi_cpu.errors import (
    DoesNotFit,
    KimiError,
    ModelFileError,
    NonFiniteLogits,
    RequestError,
    TemplateError,
    TokenizerError,
)
from kimi_cpu.modelfile.header import ARRAY, STRING
from kimi_cpu.quant.rows16 import BLOCK_BYTES, KINDS, Matrix, pack, packed_bytes, unpack
from tests import tiny

from . import gguf_bytes, values
from .gguf_bytes import F32, I8, U32, Pieces, Tensor
from .outcome import ANSWERED, IDS, REFUSED, Fault, attempt, require_finite

CHECKPOINT = Path(__file__).parents[2] / "tests" / "data" / "tiny" / "base"
SMALL = {  # configurations of bases, each a dimension in which models differ
    "plain": {"q_lora_rank": None, "tie_word_embeddings": True, "rope_scaling": None},
    "groups": {"n_group": 4, "topk_group": 2, "n_shared_experts": 2, "first_k_dense_replace": 0},
}
FILE_ERRORS = (ModelFileError, TokenizerError, DoesNotFit)  # that reading any file may end with
CONFIG, DESCRIBED = "kimi-cpu.config", "kimi-cpu.tensors"
LOOKED_FOR = ("kind", "rows", "cols", "offset", "beta_fast", "rope_theta", "rms_norm_eps", "n_routed_experts")
NAMES = ("zzz.ffn_exps.weight", "blk.9.attn_norm.weight", "kimi-cpu.sha256", "", "a" * 300, "tokenizer.model", "x\ny")
KEYS = (
    "general.alignment",
    "general.architecture",
    "kimi-cpu.version",
    "tokenizer.chat_template",
    "tokenizer.ggml.tokens",
)
PATTERNS = (b"\xc0\x7f", b"\x80\x7f", b"\x80\xff", b"\x7f\x7f", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff", bytes(64))


def prepare(folder: Path) -> None:
    """The good files that cases change."""
    convert(CHECKPOINT, folder / "base.gguf")
    for name, overrides in SMALL.items():
        checkpoint = tiny.make(folder / name, num_hidden_layers=2, vocab_size=512, **overrides)
        for file in ("tiktoken.model", "tokenizer_config.json"):
            shutil.copy(CHECKPOINT / file, checkpoint)
        convert(checkpoint, folder / f"{name}.gguf", dense="bf16" if name == "plain" else "q8_0")


def make(rng: Random, folder: Path, path: Path) -> None:
    """One to three changes of a good file."""
    base = folder / f"{rng.choice(['base', *SMALL])}.gguf"
    if rng.random() < 0.15:
        path.write_bytes(values.change_bytes(rng, base.read_bytes()))
        return
    pieces = gguf_bytes.read(base)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        with suppress(LookupError, TypeError, ValueError, AttributeError, StopIteration):  # what another one spoilt
            rng.choice(CHANGES)(rng, pieces)
    gguf_bytes.write(path, pieces)


def use(path: Path) -> str:
    """Looks at a file, proves it, runs it. Fault: a file of which `verify` says that it is right does not load."""
    name = str(path)
    attempt(lambda: inspect(path), names=name)
    attempt(lambda: preview(path), names=name)
    _, damage = attempt(lambda: verify(path, jobs=1), names=name)
    llm, refusal = attempt(lambda: kimi_cpu.load(path, threads=1, chunk=32), names=name)
    if llm is None:
        if damage is None:
            raise Fault(f"verified, and not loaded: {refusal}")
        return REFUSED
    with llm:
        return run(llm, damage)


def run(llm: kimi_cpu.LLM, damage: str | None) -> str:
    """A few tokens of a model that loaded. damage: what `verify` says of it."""
    ids = [i % llm.config.vocab_size for i in IDS][: llm.context]
    logits, error = attempt(lambda: llm.logits(ids), KimiError)
    if error is None:
        require_finite(logits)
        if llm.context > len(ids):
            _, error = attempt(lambda: llm.generate(ids, max_tokens=3, temperature=0), KimiError)
    if error is None and attempt(lambda: llm.tokenizer, TokenizerError)[1] is None:
        ask = [{"role": "user", "content": "hi"}]
        for form in (None, {"type": "json_object"}):
            _, refusal = attempt(
                lambda form=form: llm.chat(ask, max_tokens=2, temperature=0, response_format=form),
                *(RequestError, TemplateError, NonFiniteLogits),
            )
            if refusal is not None:
                return REFUSED
        return ANSWERED
    if error is not None and damage is None and "kimi-cpu verify" not in error:
        raise Fault(f"verified, loaded, and then: {error}")
    return ANSWERED if error is None else REFUSED


def _json(pieces: Pieces, key: str) -> dict:
    """What a key holds; empty when another change has spoilt it."""
    try:
        return {k: v for k, v in json.loads(pieces.get(key)).items() if isinstance(v, dict) or key == CONFIG}
    except (ValueError, AttributeError, StopIteration, RecursionError, TypeError):
        return {}


def _config(rng: Random, pieces: Pieces) -> None:
    config = _json(pieces, CONFIG)
    values.change_json(rng, config, LOOKED_FOR)
    pieces.set(CONFIG, STRING, values.dumped(config))


def _described(rng: Random, pieces: Pieces) -> None:
    described = _json(pieces, DESCRIBED)
    values.change_json(rng, described, LOOKED_FOR)
    pieces.set(DESCRIBED, STRING, values.dumped(described))


def _kind(rng: Random, pieces: Pieces) -> None:
    """Another kind, as it is: what lies there has another size, or not."""
    described = _json(pieces, DESCRIBED)
    entry = rng.choice(list(described.values()))
    matrix = rng.choice(list(entry["parts"].values())) if "parts" in entry else entry
    matrix["kind"] = rng.choice(KINDS)
    pieces.set(DESCRIBED, STRING, json.dumps(described))


def _repacked(rng: Random, pieces: Pieces) -> None:
    """A matrix in another kind, and right: such a file must run."""
    described = _json(pieces, DESCRIBED)
    name = rng.choice([name for name, entry in described.items() if "kind" in entry and entry["cols"] % 32 == 0])
    entry, tensor = described[name], pieces.tensor(name)
    if tensor is None or len(tensor.data) != packed_bytes(entry["kind"], entry["rows"], entry["cols"]):
        return
    kind, shape = rng.choice(KINDS), (entry["rows"], entry["cols"])
    with np.errstate(all="ignore"):  # weights that another change has spoilt
        whole = np.nan_to_num(unpack(Matrix(entry["kind"], *shape, np.frombuffer(tensor.data, np.uint8))))
        tensor.data = pack(kind, whole).tobytes()
    tensor.dims, entry["kind"] = [len(tensor.data)], kind
    pieces.set(DESCRIBED, STRING, json.dumps(described))


def _text(rng: Random, pieces: Pieces) -> None:
    texts = [(key, value) for key, kind, value in pieces.metadata if kind == STRING]
    key, text = rng.choice(texts)
    pieces.set(key, STRING, values.change_text(rng, text))


def _metadata(rng: Random, pieces: Pieces) -> None:
    """Another value, type or place of a key, or another key."""
    at = rng.randrange(len(pieces.metadata))
    key, kind, value = pieces.metadata[at]
    action = rng.randrange(5)
    if action == 0:
        pieces.metadata[at] = key, kind, values.value(rng, value)
    elif action == 1:
        new = rng.randrange(14)
        pieces.metadata[at] = key, new, (rng.randrange(14), [1, 2]) if new == ARRAY else value
    elif action == 2:
        del pieces.metadata[at]
    elif action == 3:
        pieces.metadata.insert(rng.randrange(len(pieces.metadata)), (key, kind, value))
    else:
        pieces.set(rng.choice(KEYS), *rng.choice([(U32, 7), (STRING, "x"), (F32, 0.5), (ARRAY, (STRING, ["a", "b"]))]))


def _table(rng: Random, pieces: Pieces) -> None:
    """Another name, shape, type or place of a tensor."""
    tensor = rng.choice(pieces.tensors)
    action = rng.randrange(6)
    if action == 0:
        tensor.dims = [rng.choice([n, 0, 1, n + 1, n * 2, 2**62, 2**31, 2**63]) for n in tensor.dims]
    elif action == 1:
        tensor.dims = rng.choice(
            [[], [0], [0, 2**62], [*tensor.dims, 1], [*tensor.dims, 0], tensor.dims[::-1], [1] * 5]
        )
    elif action == 2:
        tensor.kind = rng.choice([0, 1, 2, 8, 14, 24, 28, 30, 39, 99, 2**32 - 1])
    elif action == 3:
        tensor.offset = rng.choice([0, 1, 4096, 32, 2**63, 2**64 - 4096, 4096 * rng.randrange(64)])
    elif action == 4:
        tensor.name = rng.choice([*NAMES, rng.choice(pieces.tensors).name])
    else:
        other = rng.choice(pieces.tensors)
        tensor.name, other.name = other.name, tensor.name


def _tensors(rng: Random, pieces: Pieces) -> None:
    """One more, one less, or in another order."""
    action, at = rng.randrange(4), rng.randrange(len(pieces.tensors))
    if action == 0:
        del pieces.tensors[at]
    elif action == 1:
        dims = rng.choice([[4], [0], [0, 2**62], [4096, 2], [16, 4]])
        size = gguf_bytes.nbytes(Tensor("", dims, I8, b""))
        pieces.tensors.insert(at, Tensor(rng.choice(NAMES), dims, rng.choice([0, I8]), bytes(min(size, 1 << 16) * 4)))
    elif action == 2:
        rng.shuffle(pieces.tensors)
    else:
        pieces.tensors = [] if rng.random() < 0.3 else pieces.tensors[:at]


def _weights(rng: Random, pieces: Pieces) -> None:
    """NaN, infinity, very large or arbitrary bytes among the weights."""
    tensor = rng.choice(pieces.tensors)
    data = bytearray(tensor.data)
    at = rng.randrange(max(1, len(data) // 1024)) * rng.choice([BLOCK_BYTES["int4"], BLOCK_BYTES["q8"], 4])
    pattern = rng.choice([*PATTERNS, rng.randbytes(64)]) * rng.choice([1, 8, 16])
    data[at : at + len(pattern)] = pattern
    tensor.data = bytes(data[: len(tensor.data)])


def _tokenizer(rng: Random, pieces: Pieces) -> None:
    """Other bytes of the tokenizer, or another configuration of it."""
    if rng.random() < 0.4:
        config = _json(pieces, "kimi-cpu.tokenizer_config")
        values.change_json(rng, config)
        pieces.set("kimi-cpu.tokenizer_config", STRING, values.dumped(config))
        return
    tensor = pieces.tensor(rng.choice(["tokenizer.model", "tokenizer.model", "tokenizer.ranks"]))
    tensor.data = values.change_bytes(rng, tensor.data)
    tensor.dims = [len(tensor.data)]


def _length(rng: Random, pieces: Pieces) -> None:
    """More or fewer bytes than the table says, or tables of another length."""
    tensor = rng.choice(pieces.tensors)
    action = rng.randrange(3)
    if action == 0:
        tensor.data = values.change_bytes(rng, tensor.data)
    elif action == 1:
        pieces.counts = (
            rng.choice([0, 1, 2**40, 2**63, len(pieces.tensors)]),
            rng.choice([0, 2**40, len(pieces.metadata)]),
        )
    else:
        pieces.version = rng.choice([0, 1, 2, 4, 2**31])


GGUF_CHANGES = (_metadata, _table, _tensors, _weights, _length)
CHANGES = (_config, _config, _described, _described, _kind, _repacked, _text, _tokenizer, *GGUF_CHANGES)
