"""Tells PyInstaller of the hook beside this file. pyproject.toml names `hook_folders` (entry point `pyinstaller40`).

Two files, because a hook is found by a name with a dash, which cannot be imported.
"""

from pathlib import Path


def hook_folders() -> list[str]:
    """The folders in which PyInstaller looks for hooks."""
    return [str(Path(__file__).parent)]
