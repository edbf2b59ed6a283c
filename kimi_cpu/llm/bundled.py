"""The demonstration model that the package carries: what runs when no model is named."""

from pathlib import Path

from ..modelfile import ModelFile

BUNDLED_MODEL = Path(__file__).parents[1] / "data" / "demo.gguf"  # its card is demo.md beside it


def bundled_note() -> str:
    """What a program says when it falls back to the bundled model: what it is, and what to do for more."""
    with ModelFile.open(BUNDLED_MODEL) as file:
        millions = file.num_weights / 1e6
    return (
        f"bundled demonstration model, {millions:.1f} million parameters; for real answers: "
        "kimi-cpu convert Kimi-K2-Thinking -o k2.gguf, then -m k2.gguf"
    )
