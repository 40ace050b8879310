"""An input behind a URL as a stream of bytes that is fetched range by range.

Stands below `remote.py`. A range that comes back short is a failure of the server, never the end.
"""

import os
from collections.abc import Callable

_FIRST_BYTES = 2**20
_MOST_BYTES = 2**25
"""One request asks for so much where a reader goes on from the one before, at most and at first;
each asks for twice as much as the last."""


class RangeStream:
    """`size` bytes that `fetch` gives by half-open ranges; what is fetched ahead is kept."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch = size, fetch
        self._at, self._start, self._kept = 0, 0, b""
        self._ahead = 0

    def read(self, size: int, /) -> bytes:
        """`size` bytes, fewer only at the end."""
        stop = min(self._size, self._at + size)
        found = []
        while self._at < stop:
            if not self._start <= self._at < self._start + len(self._kept):
                self._fill(stop - self._at)
            offset = self._at - self._start
            found.append(self._kept[offset : stop - self._start])
            self._at += len(found[-1])
        return b"".join(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As of files."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def _fill(self, wanted: int) -> None:
        goes_on = self._at == self._start + len(self._kept)
        self._ahead = min(_MOST_BYTES, 2 * self._ahead) if goes_on and self._ahead else _FIRST_BYTES
        stop = self._at + max(self._ahead, min(wanted, _MOST_BYTES))
        self._kept = self._fetch(self._at, min(self._size, stop))
        self._start = self._at
