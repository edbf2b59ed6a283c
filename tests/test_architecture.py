"""docs/architecture.md speaks of what there is: its picture, its rooms, and every file and name in it. So do the pages
for those who work on the code."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.test_layers import MAY_IMPORT, PACKAGE
from tools.draw_rooms import FILE, document

ROOT = PACKAGE.parent
TEXT = FILE.read_text(encoding="utf-8")
BLOCKS = [block for block in re.split(r"\n\n|\n(?=\d+\. |\| |\*\*)", TEXT) if "`" in block and "```" not in block]


def quoted(block: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", block.replace("\n", " "))


def is_path(name: str) -> bool:
    return "/" in name.strip("/") or name.endswith(("/", ".py", ".md"))


def found(name: str) -> Path | None:
    """The file or folder of a path in the package, or else in the repository."""
    return next((path for path in (PACKAGE / name, ROOT / name) if path.exists()), None)


@cache
def defined(path: Path) -> frozenset[str]:
    """Names of functions, classes, members ("Class.member") and variables of a module or of all in a folder."""
    if path.is_dir():
        return frozenset().union(*map(defined, path.rglob("*.py")))
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member.name}" for member in node.body if isinstance(member, ast.FunctionDef)}
    return frozenset(names)


def test_picture_is_the_table():
    assert document() == TEXT, "run `python -m tools.draw_rooms` and commit docs/architecture.md"


def test_every_room_is_described():
    table = TEXT[TEXT.index("| room |") :].split("\n\n")[0].splitlines()
    described = {Path(name).stem for row in table[2:] for name in quoted(row.split("|")[1])}
    assert described == set(MAY_IMPORT)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[:40])
def test_names_exist(block):
    """Files do; names of functions and classes are defined in the package, and in the file that follows them."""
    assert [name for name in quoted(block) if is_path(name) and found(name) is None] == []
    for name in quoted(block):
        if re.fullmatch(r"[A-Z]\w*(\.\w+)?(\(\))?|\w+\(\)", name):
            assert name.removesuffix("()") in defined(PACKAGE)
    for name, file in re.findall(r"`([\w.()]+)` (?:\(|in )`([^`]+\.py)`", block.replace("\n", " ")):
        assert name.removesuffix("()") in defined(found(file)), f"{name} is not in {file}"


def test_words_of_the_code_are_in_it():
    """Every other identifier in backticks occurs in the package or its tools."""
    code = "\n".join(
        path.read_text(encoding="utf-8") for folder in (PACKAGE, ROOT / "tools") for path in folder.rglob("*.py")
    )
    words = {name for block in BLOCKS for name in quoted(block) if re.fullmatch(r"[a-z_]\w*", name)}
    assert words <= set(re.findall(r"\w+", code))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "tools/README.md", "README.md"])
def test_files_and_tools_of_other_pages_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    files = re.findall(r"\b(?:docs|tests|tools|benchmarks)/[\w/.-]+\.(?:py|md|sh)\b", text)
    files += [name.replace(".", "/") for name in re.findall(r"python -m (tools\.\w+)", text)]
    assert [file for file in files if not (ROOT / file).exists() and not (ROOT / f"{file}.py").exists()] == []
