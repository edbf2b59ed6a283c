"""Values that every room may know: the architecture of a model, the fields of a request, sizes."""

from .checkpoint import config_from_gguf, config_from_hf, config_to_hf
from .model_config import ModelConfig, RopeScaling
from .values import in_words, listed, size_bytes

__all__ = [
    "ModelConfig",
    "RopeScaling",
    "config_from_gguf",
    "config_from_hf",
    "config_to_hf",
    "in_words",
    "listed",
    "size_bytes",
]
