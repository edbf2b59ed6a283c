"""Parts of messages that clients write differently: the ids of tool calls, and the key of an assistant's reasoning."""

import re

REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")


def letters(call_id: str) -> str:
    """A tool call's id without dots and colons: some clients replace them, in calls or in results only."""
    return re.sub(r"\W", "_", call_id)
