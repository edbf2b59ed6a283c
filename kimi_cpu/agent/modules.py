"""Tools from a file of Python."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigError
from .tool import Tool, tool_of


def tools_of_file(path: Path) -> list[Tool]:
    """The tools of a file: what its list `tools` holds, or else every function defined in it whose name has no leading
    underscore. The file is run. ConfigError: it cannot be, or has none. OSError."""
    module = _imported(path)
    given: list[Any] = getattr(module, "tools", None) or [
        value for name, value in vars(module).items() if not name.startswith("_") and _is_own(module, value)
    ]
    if not given:
        raise ConfigError(f"{path} defines no tools; a tool is a function, or stands in its list `tools`.")
    return [tool_of(value) for value in given]


def _is_own(module: ModuleType, value: object) -> bool:
    return isinstance(value, Tool) or (inspect.isfunction(value) and value.__module__ == module.__name__)


def _imported(path: Path) -> ModuleType:
    """The module of a file, which may import what lies beside it."""
    path.stat()
    name = f"kimi_cpu_tools_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no file of Python; name one that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations are looked up there
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    run: Callable[[ModuleType], None] = spec.loader.exec_module
    try:
        run(module)
    except Exception as e:
        raise ConfigError(f"{path} cannot be run: {type(e).__name__}: {e}") from e
    return module
