"""A folder of documents, searched by words through SQLite's full-text index."""

import re
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from ...errors import ConfigError
from ...filetypes import decoded
from .web import MOST_HITS, Hit, text_of_page

HTML = (".html", ".htm")
ENDINGS = (".txt", ".md", ".rst", *HTML)
MAX_BYTES = 20 << 20  # of a document
SNIPPET_WORDS = 40


class Documents:
    """The text and HTML files below a folder, read and indexed once. A Source, see web.py."""

    def __init__(self, folder: Path):
        """ConfigError: there are no documents. OSError."""
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE pages USING fts5(title, body, address UNINDEXED, tokenize = 'porter')")
        rows = [
            row for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS for row in _row(folder, path)
        ]
        if not rows:
            raise ConfigError(f"{folder} has no documents ({', '.join(ENDINGS)}) to search; name another folder.")
        self._db.executemany("INSERT INTO pages (title, body, address) VALUES (?, ?, ?)", rows)
        self._db.commit()

    def search(self, query: str) -> list[Hit]:
        """See Source: documents with any of the words, those with more and rarer ones first."""
        words = re.findall(r"\w+", query)
        if not words:
            return []
        wanted = " OR ".join(f'"{word}"' for word in words)
        snippet = f"snippet(pages, 1, '', '', '…', {SNIPPET_WORDS})"
        select = f"SELECT title, address, {snippet} FROM pages WHERE pages MATCH ? ORDER BY bm25(pages, 4.0) LIMIT ?"
        with self._lock:
            return [Hit(*row) for row in self._db.execute(select, (wanted, MOST_HITS))]

    def fetch(self, address: str) -> str:
        """See Source."""
        with self._lock:
            row = self._db.execute("SELECT body FROM pages WHERE address = ?", (address,)).fetchone()
        if row is None:
            raise LookupError(f"there is no page {address}; take an address that web_search gives")
        return row[0]


def _row(folder: Path, path: Path) -> list[tuple[str, str, str]]:
    """Title, text and address of a document, if it is one."""
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= MAX_BYTES:
            data = path.read_bytes()
            text = text_of_page(data, "text/html") if path.suffix.lower() in HTML else decoded(data)
            first = next((line.strip("#= \t") for line in text.splitlines() if line.strip("#= \t")), path.stem)
            return [(first[:200], text, path.relative_to(folder).as_posix())]
    return []
