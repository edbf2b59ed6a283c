"""What a program needs to know that packs this one: PyInstaller's hook."""

import importlib.metadata
import runpy
import sys
import types
from pathlib import Path

import kimi_cpu
from kimi_cpu._pyinstaller import hook_folders

HOOK = Path(hook_folders()[0]) / "hook-kimi_cpu.py"


def test_the_hook_collects_what_pyinstaller_does_not_see(monkeypatch):
    hooks = types.ModuleType("PyInstaller.utils.hooks")
    hooks.collect_submodules = lambda name, filter: [
        n for n in (name, f"{name}.llm", f"{name}.llm_plugin") if filter(n)
    ]
    hooks.collect_data_files = lambda name: [(name, "data")]
    hooks.copy_metadata = lambda name: [(name, importlib.metadata.version("llguidance"))]
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    found = runpy.run_path(str(HOOK))
    assert found["hiddenimports"] == ["kimi_cpu", "kimi_cpu.llm"]
    assert [name for name, _ in found["datas"]] == ["kimi_cpu", "llguidance", "kimi-cpu"]


def test_the_hook_lies_in_the_package():
    assert HOOK.is_file() and HOOK.is_relative_to(Path(kimi_cpu.__file__).parent)
