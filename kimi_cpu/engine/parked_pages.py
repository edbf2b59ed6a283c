"""What pages of the cache hold, in a file, while their memory is the system's."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import OutOfDisk
from ..files import private_directory, user_folder
from .prefix_cache import Pages


class ParkedPages:
    """Pages in a file without a name, in $XDG_CACHE_HOME/kimi-cpu, which is gone with this object or the process."""

    def __init__(self, pages: Pages, block_ids: Sequence[int]):
        """Writes pages, by their numbers. OutOfDisk: they cannot be written."""
        self._pages, self._block_ids = pages, block_ids
        folder = _folder()
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as this object
            for block_id in block_ids:
                self._file.write(pages.read(block_id))
            self._file.flush()
            os.fsync(self._file)
        except OSError as e:
            size = len(block_ids) * pages.page_bytes
            raise OutOfDisk(
                f"{size:,} bytes of the cache cannot be written to {folder} ({e.strerror}). Make room there, or set "
                "$XDG_CACHE_HOME to a folder that has some."
            ) from e
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # the page cache is memory too

    def restore(self) -> None:
        """Brings the pages back to where they were. OSError."""
        self._file.seek(0)
        data = np.empty(self._pages.page_bytes, np.uint8)
        for block_id in self._block_ids:
            count = self._file.readinto(data)
            assert count == len(data), "the file is as long as it was written"
            self._pages.write(block_id, data)

    def close(self) -> None:
        """Forgets the file."""
        self._file.close()


def _folder() -> Path:
    """Where memory is not what is written to: /tmp often is."""
    folder = user_folder("CACHE")
    if folder is not None:
        with suppress(OSError):
            return private_directory(folder)
    return Path(tempfile.gettempdir())
