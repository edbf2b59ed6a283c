"""The architecture, as a table: every import between rooms of kimi_cpu/ is listed here, and every one listed is used.

Files import in one direction, inside of rooms as well.
"""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kimi_cpu"
FILES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {  # room: the rooms it may import, in the order in which a prompt falls
    "cli": {
        "agent",
        "batch",
        "bench",
        "cluster",
        "server",
        "conversion",
        "llm",
        "plan",
        "residency",
        "kernels",
        "tokenizer",
        "config",
        "machine",
        "files",
        "filetypes",
        "errors",
    },
    "server": {"agent", "llm", "config", "errors"},  # HTTP in, calls of LLM out
    "agent": {"llm", "chat", "tokenizer", "config", "files", "filetypes", "errors"},  # tools, a journal, calls of LLM
    "cluster": {  # models of a batch, and engines of a server, elsewhere; and one model in several places
        "batch",
        "llm",
        "engine",
        "model",
        "residency",
        "plan",
        "modelfile",
        "kernels",
        "config",
        "machine",
        "files",
        "errors",
    },
    "batch": {"llm", "config", "files", "filetypes", "errors"},
    "bench": {"llm", "errors"},
    "llm_plugin": {"llm", "config", "errors"},
    "llm": {
        "engine",
        "model",
        "residency",
        "plan",
        "modelfile",
        "kernels",
        "chat",
        "tokenizer",
        "config",
        "machine",
        "files",
        "filetypes",
        "errors",
    },
    "conversion": {
        "plan",
        "modelfile",
        "kernels",
        "tokenizer",
        "quant",
        "config",
        "machine",
        "files",
        "filetypes",
        "errors",
    },
    "plan": {"modelfile", "kernels", "quant", "config", "machine"},  # sizes and speeds only
    "engine": {"model", "config", "files", "errors"},  # no tokenizer, no chat: never sees text
    "chat": {"tokenizer", "config", "errors"},
    "tokenizer": {"modelfile", "files", "filetypes", "errors"},
    "model": {"modelfile", "kernels", "quant", "config", "errors"},  # no engine: never sees requests
    "residency": {"modelfile", "kernels", "config", "files", "errors"},  # no equations
    "kernels": {"quant", "machine", "files", "errors"},  # no config: arrays and scalars only
    "modelfile": {"quant", "config", "files", "filetypes", "errors"},
    "quant": set(),
    "config": {"errors"},
    "machine": set(),  # what this process may use of it
    "_pyinstaller": set(),  # how programs are packed that embed this one
    "filetypes": set(),  # what a file is that is not what it was taken for
    "files": {"errors"},
    "errors": set(),
}
OWNER = {  # third-party or sensitive package: the rooms that may import it
    "numba": {"kernels"},
    "llvmlite": {"kernels"},
    "click": {"cli"},
    "rich": {"cli"},
    "prompt_toolkit": {"cli"},
    "llm": {"llm_plugin"},
    "gguf": {"modelfile", "conversion"},
    "sentencepiece": {"tokenizer"},
    "jinja2": {"chat"},
    "llguidance": {"chat"},
    "jsonschema_rs": {"chat"},
    "PyInstaller": {"_pyinstaller"},
    "psutil": {"machine"},
    "sqlite3": {"agent", "batch"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "pydantic": {"server", "llm_plugin", "agent"},
    "docstring_parser": {"agent"},
    "simpleeval": {"agent"},
    "trafilatura": {"agent"},
    "httpx2": {"agent"},
    "mcp": {"agent"},
    "prometheus_client": {"server"},
    "ray": {"cluster"},
    "threading": {
        "agent",
        "chat",
        "cli",
        "cluster",
        "llm_plugin",
        "server",
        "llm",
        "engine",
        "conversion",
        "kernels",
        "residency",
    },
    "mmap": {"modelfile", "model", "conversion", "residency"},
}


FOLDERS = {  # of kernels/, one rank each: the folders it may import; files beside the folders may import them all
    "codegen": set(),
    "micro": {"codegen"},
    "entries": {"codegen", "micro"},
}


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module_of(path):
    """Dotted name of a file; a package's is that of its folder."""
    return ".".join(("kimi_cpu", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


@cache
def imported(path):
    """Absolute dotted names of every import, lazy and TYPE_CHECKING ones too."""
    parts = ("kimi_cpu", *path.relative_to(PACKAGE).parent.parts)
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*parts[: len(parts) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            names += [".".join([*base, alias.name]) for alias in node.names]
    return names


def imported_files(path):
    """Files of the package that a file imports: `from .llm import LLM` is llm.py, `from . import llm` too."""
    modules = (name if name in MODULES else name.rpartition(".")[0] for name in imported(path))
    return {MODULES[module] for module in modules if module in MODULES} - {path}


def test_rooms_form_a_dag():
    TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError
    assert {room_of(f) for f in FILES} - {"__init__", "__main__"} <= set(MAY_IMPORT)


def test_files_form_a_dag():
    TopologicalSorter({path: imported_files(path) for path in FILES}).prepare()  # raises CycleError


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    if room.startswith("__"):
        return  # the package's front door
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "kimi_cpu" and rest:
            assert rest[0] in MAY_IMPORT[room] | {room}, f"{room} may not import {name}"
        assert room in OWNER.get(top, {room}), f"only {OWNER[top]} may import {top}, not {room}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_of_kernels_import_in_one_direction(folder):
    for path in (PACKAGE / "kernels" / folder).glob("*.py"):
        folders = {file.parent.name for file in imported_files(path)} & set(FOLDERS)
        assert folders <= FOLDERS[folder] | {folder}, path


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_every_permission_is_used(room):
    names = [name.split(".") for path in FILES if room_of(path) == room for name in imported(path)]
    assert MAY_IMPORT[room] <= {rest[0] for top, *rest in names if top == "kimi_cpu" and rest}
    packages = {package for package, rooms in OWNER.items() if room in rooms}
    assert packages <= {top for top, *_ in names}
