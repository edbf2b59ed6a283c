"""HTTP: OpenAI's and Anthropic's APIs and a chat page over one LLM. Knows requests and JSON, and no tensors.

A request passes guard -> routes -> a body of its protocol -> Question -> service (places) -> answers (pieces of the
generations) -> reply -> a writer of its protocol.
"""

from .app import bind, serve
from .settings import Settings

__all__ = ["Settings", "bind", "serve"]
