"""Names what PyInstaller cannot see: modules that are imported at first use, data, and packages' metadata."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

hiddenimports = collect_submodules("kimi_cpu", filter=lambda name: "llm_plugin" not in name)  # of another program
datas = [
    *collect_data_files("kimi_cpu"),
    *copy_metadata("llguidance"),  # it asks for its own version when it is imported
]
with suppress(PackageNotFoundError):  # found on the path, without having been installed
    datas += copy_metadata("kimi-cpu")
