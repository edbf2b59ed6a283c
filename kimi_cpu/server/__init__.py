"""HTTP: OpenAI's and Anthropic's APIs and a chat page over one LLM. Knows requests and JSON, and no tensors.

A request passes guard -> routes -> a body of its protocol -> Call -> service (places) -> answers (pieces of the
sequences) -> reply -> a writer of its protocol.
"""

from .run import bind, serve
from .settings import Settings

__all__ = ["Settings", "bind", "serve"]
