"""Where this user's files lie: the XDG base directories, if there is a home at all."""

import os
from pathlib import Path

BELOW_HOME = {"CACHE": ".cache", "CONFIG": ".config", "DATA": ".local/share", "STATE": ".local/state"}


def user_folder(kind: str) -> Path | None:
    """$XDG_{kind}_HOME/kimi-cpu, by default below the home directory; it need not exist.

    None when there is neither, as for a user id that the system does not know, in a container.
    """
    if named := os.environ.get(f"XDG_{kind}_HOME"):
        return Path(named) / "kimi-cpu"
    try:
        return Path.home() / BELOW_HOME[kind] / "kimi-cpu"
    except RuntimeError:  # no $HOME, and no such user
        return None
