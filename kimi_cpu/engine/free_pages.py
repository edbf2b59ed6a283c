"""The free pages, in the order in which they will be reused."""

from array import array
from collections.abc import Iterator


class FreePages:
    """A ring of numbers: 8 bytes for each page, free or not, whatever happens to it. All are free at first."""

    def __init__(self, num_pages: int):
        self._end = num_pages  # stands in the ring between the last page and the first
        self._next = array("i", [*range(1, num_pages + 1), 0])
        self._previous = array("i", [num_pages, *range(num_pages)])
        self._count = num_pages

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        page = self._next[self._end]
        while page != self._end:
            yield page
            page = self._next[page]

    def take(self) -> int:
        """Removes the first page, which there must be."""
        page = self._next[self._end]
        self.remove(page)
        return page

    def remove(self, page: int) -> None:
        """Removes a page that is free."""
        before, behind = self._previous[page], self._next[page]
        self._next[before], self._previous[behind] = behind, before
        self._count -= 1

    def append(self, page: int) -> None:
        """Adds a page as the last one."""
        self._insert(self._previous[self._end], page)

    def prepend(self, page: int) -> None:
        """Adds a page as the first one."""
        self._insert(self._end, page)

    def _insert(self, before: int, page: int) -> None:
        behind = self._next[before]
        self._next[before] = self._previous[behind] = page
        self._previous[page], self._next[page] = before, behind
        self._count += 1
