"""Ids of tool calls as clients write them."""

import re


def letters(call_id: str) -> str:
    """An id as clients write it that take no dots and colons, some of them in calls or in results only."""
    return re.sub(r"\W", "_", call_id)
