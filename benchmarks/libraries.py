"""llama.cpp and ik_llama.cpp, as llama-cpp-python and ik-llama-cpp-python bind their C functions.

PEERS.md says how they are installed, and why with these flags.
"""

import ctypes
import struct
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from rows import MAX_SEQUENCES, PROMPT_STEP

NUMBER, POINTER, SIZE, TEXT = ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p


class Library:
    """A model and a context of many sequences.

    api: the package's functions, in which those lie that both libraries have. functions: all of the library's.
    """

    PACKAGE: str
    FLAGS: str
    MIXES_PROMPTS: bool  # takes prompts of several sequences in one step

    def __init__(self, api, functions):
        self.api, self.functions = api, functions
        api.llama_backend_init()
        self._silence = ctypes.CFUNCTYPE(None, ctypes.c_int, TEXT, POINTER)(lambda *_: None)
        functions.llama_log_set(self._silence, None)

    def _open(self, path: str, model, context, num_tokens: int, threads: int) -> None:
        """The model and its context, with those parameters and what is the same for both libraries."""
        api = self.api
        self._model = api.llama_model_load_from_file(path.encode(), model)
        context.n_ctx, context.n_batch, context.n_ubatch = num_tokens, PROMPT_STEP, PROMPT_STEP
        context.n_threads = context.n_threads_batch = threads
        context.n_seq_max = MAX_SEQUENCES
        self.context = api.llama_init_from_model(self._model, context)
        if not self.context:
            raise SystemExit(f"{self.PACKAGE} cannot open {path}")
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self._model))
        self.built = features(self.functions.llama_print_system_info())

    def wait(self) -> None:
        """Until what was asked for is done."""
        self.functions.llama_synchronize(self.context)

    def save(self, path: str, num_tokens: int) -> None:
        """Writes sequence 0 to a file."""
        tokens = (NUMBER * num_tokens)()
        if not self.functions.llama_state_seq_save_file(self.context, path.encode(), 0, tokens, num_tokens):
            raise SystemExit("llama_state_seq_save_file failed")

    def restore(self, path: str, num_tokens: int) -> None:
        """Reads sequence 0 from a file."""
        tokens, count = (NUMBER * num_tokens)(), ctypes.byref(SIZE())
        if not self.functions.llama_state_seq_load_file(self.context, path.encode(), 0, tokens, num_tokens, count):
            raise SystemExit("llama_state_seq_load_file failed")


class LlamaCpp(Library):
    """llama.cpp."""

    PACKAGE = "llama-cpp-python"
    FLAGS = "flash attention on, cache f16, weights repacked for the CPU (its default)"
    MIXES_PROMPTS = True

    def __init__(self, path: str, threads: int, num_tokens: int, is_mapped: bool):
        import llama_cpp as api

        super().__init__(api, api.llama_cpp._lib)
        context = api.llama_context_default_params()
        context.kv_unified, context.flash_attn_type = True, 1
        model = api.llama_model_default_params()
        model.use_extra_bufts = not is_mapped  # for weights that it repacks
        self._open(path, model, context, num_tokens, threads)
        self._memory = api.llama_get_memory(self.context)

    def clear(self) -> None:
        """Forgets all sequences."""
        self.api.llama_memory_clear(self._memory, True)

    def forget(self, sequence: int, begin: int) -> None:
        """Forgets a sequence from a position on."""
        self.api.llama_memory_seq_rm(self._memory, sequence, begin, -1)

    def copy(self, sequence: int, to: int) -> None:
        """Makes another sequence of the same tokens."""
        self.api.llama_memory_seq_cp(self._memory, sequence, to, -1, -1)

    def extend(self, tokens: int, depth: int) -> bool:
        """Makes sequence 0, which has `tokens`, `depth` long with copies of them; True. What a cache holds does not
        change a step's time, and to compute 16,384 tokens takes llama.cpp half an hour on two cores."""
        size = self.api.llama_state_seq_get_size(self.context, 0)
        state = (ctypes.c_uint8 * size)()
        self.api.llama_state_seq_get_data(self.context, state, size, 0)
        more = repeated(bytes(state), tokens, depth)
        self.clear()
        state = (ctypes.c_uint8 * len(more)).from_buffer_copy(more)
        if self.api.llama_state_seq_set_data(self.context, state, len(more), 0) != len(more):
            raise SystemExit("llama.cpp does not take the state")
        return True


class IkLlama(Library):
    """ik_llama.cpp with its best flags. Its package binds only some of the functions that are needed."""

    PACKAGE = "ik-llama-cpp-python"
    FLAGS = "-rtr 1 -fa 1 -mla 3 -fmoe 1, cache f16"
    MIXES_PROMPTS = False  # "GGML_ASSERT(S > 0) failed" in iqk_fa_templates.h
    MORE = {  # its other functions: arguments
        "llama_kv_cache_seq_rm": [POINTER, NUMBER, NUMBER, NUMBER],
        "llama_kv_cache_seq_cp": [POINTER, NUMBER, NUMBER, NUMBER, NUMBER],
        "llama_synchronize": [POINTER],
        "llama_print_system_info": [],
        "llama_state_seq_save_file": [POINTER, TEXT, NUMBER, POINTER, SIZE],
        "llama_state_seq_load_file": [POINTER, TEXT, NUMBER, POINTER, SIZE, POINTER],
    }

    def __init__(self, path: str, threads: int, num_tokens: int, is_mapped: bool):
        from ik_llama_cpp import _ctypes_api as api

        functions = api._lib
        for name, arguments in self.MORE.items():
            getattr(functions, name).argtypes = arguments
        functions.llama_print_system_info.restype = TEXT
        super().__init__(api, functions)
        model = api.llama_model_default_params()
        model.repack_tensors, model.use_mmap = not is_mapped, is_mapped  # -rtr: weights in memory of its own
        model.mla, model.flash_attn = 3, True
        model.max_ctx_size, model.n_seq_max, model.n_ubatch = num_tokens, MAX_SEQUENCES, PROMPT_STEP
        context = api.llama_context_default_params()
        context.mla_attn, context.flash_attn, context.fused_moe_up_gate = 3, True, True
        self._open(path, model, context, num_tokens, threads)

    def clear(self) -> None:
        """Forgets all sequences."""
        self.api.llama_kv_cache_clear(self.context)

    def forget(self, sequence: int, begin: int) -> None:
        """Forgets a sequence from a position on."""
        self.functions.llama_kv_cache_seq_rm(self.context, sequence, begin, -1)

    def copy(self, sequence: int, to: int) -> None:
        """Makes another sequence of the same tokens."""
        self.functions.llama_kv_cache_seq_cp(self.context, sequence, to, -1, -1)

    def extend(self, tokens: int, depth: int) -> bool:
        """False: its prompts are fast enough to be computed."""
        return False


def installed() -> type:
    """The peer that this interpreter has."""
    for kind in (IkLlama, LlamaCpp):
        with suppress(PackageNotFoundError):
            version(kind.PACKAGE)
            return kind
    raise SystemExit(f"{sys.executable} has neither {IkLlama.PACKAGE} nor {LlamaCpp.PACKAGE}; see benchmarks/PEERS.md")


def features(system_info: bytes) -> str:
    """Names of the instructions that a library was built for, of "AVX = 1 | AVX2 = 0 | …"."""
    pairs = (part.rpartition(":")[2].split("=") for part in system_info.decode().split("|") if "=" in part)
    return "built for " + " ".join(name.strip() for name, value in pairs if value.strip() == "1")


def repeated(state: bytes, tokens: int, depth: int) -> bytes:
    """llama.cpp's state of one sequence of `tokens`, made `depth` long. It holds, as little-endian integers: a magic
    number, 0, the number of streams (1) and of cells; a cell's position, 1 and 0; whether V is transposed, how many
    layers; for each layer the type (i32) and bytes (u64) of a token's row, and the rows. There is no V with MLA."""
    times = -(-depth // tokens)
    head, at = state[:12] + struct.pack("<I", depth), 16 + 12 * tokens
    cells = b"".join(struct.pack("<iIi", position, 1, 0) for position in range(depth))
    parts = [head, cells, state[at : at + 8]]
    layers = struct.unpack_from("<I", state, at + 4)[0]
    at += 8
    for _ in range(layers):
        row = struct.unpack_from("<Q", state, at + 4)[0]
        rows = state[at + 12 : at + 12 + tokens * row]
        parts += [state[at : at + 12], (rows * times)[: depth * row]]
        at += 12 + tokens * row
    if at != len(state):
        raise SystemExit("llama.cpp's state has a layout that this program does not know")
    return b"".join(parts)
