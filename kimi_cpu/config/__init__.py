"""The architecture of one model as frozen values: from config.json or from GGUF metadata."""

from .model_config import ModelConfig, RopeScaling
from .reader import listed
from .size import in_words, size_bytes

__all__ = ["ModelConfig", "RopeScaling", "in_words", "listed", "size_bytes"]
