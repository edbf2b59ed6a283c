"""Lets PyInstaller find the hook beside this file (its entry point `pyinstaller40`, in pyproject.toml)."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Where hooks lie."""
    return [str(Path(__file__).parent)]
