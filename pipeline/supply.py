"""Supply: batches in order, each once, made ahead by a thread, whatever interrupts their consumer.

Stands between the batches and the `RowStream` that counts them. A signal's handler may raise
between any two lines here, Ctrl-C above all: what was gathered and not counted is then gathered
again.
"""

from collections import deque
from collections.abc import Sequence

from pipeline.batch import Batch
from pipeline.batches import BatchSource
from pipeline.prefetch import Prefetcher
from pipeline.shard_reading.shard_places import ShardPlace
from schemas.errors import UserError

PREFETCH_DEPTH = 2
"""Gathers (`batches.py` says how large) that wait for the consumer."""


class BatchSupply:
    """Batches of a source whose shards are opened in `places`. Not thread-safe."""

    def __init__(self, places: Sequence[ShardPlace]) -> None:
        self._places = places
        self._source: BatchSource | None = None
        self._prefetcher: Prefetcher[list[Batch]] | None = None
        self._ready: deque[Batch] = deque()
        self._is_whole, self._is_closed = True, False
        """Whole: what is ready is followed by what the thread makes. Else `stop` comes first."""

    def behind(self, source: BatchSource, consumed_rows: int) -> Batch:
        """The batch of `source` behind row `consumed_rows`, which is the end of the one before, but
        anywhere at first and behind `stop`. The same one again until its rows are counted.

        Raises `StopIteration` at the end, `UserError` when closed, and what making it raised.
        """
        if source is not self._source or not self._is_whole:
            self.stop()
            self._source = source
        while self._ready and self._ready[0].consumed_rows <= consumed_rows:
            self._ready.popleft()
        if not self._ready:
            self._take(source, consumed_rows)
        return self._ready[0]

    def stop(self) -> None:
        """End the thread, also where it waits for a file that is fetched; `behind` begins anew.

        What a signal leaves of a thread that was being stopped is ended by the next call.
        """
        self._is_whole = False
        self._ready.clear()
        if self._prefetcher is not None:
            waited = () if self._prefetcher.is_lost else self._places
            for place in waited:
                place.interrupt()
            self._prefetcher.close()
            for place in waited:
                place.proceed()
        self._prefetcher, self._is_whole = None, True

    def check_open(self) -> None:
        """Raise `UserError` when it is closed."""
        if self._is_closed:
            raise UserError("this stream is closed; make a new one with state=stream.state()")

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._is_closed = True

    def _take(self, source: BatchSource, consumed_rows: int) -> None:
        self.check_open()
        if self._prefetcher is not None and self._prefetcher.is_lost:
            self.stop()
        if self._prefetcher is None:
            self._prefetcher = Prefetcher(source.gathered(consumed_rows), PREFETCH_DEPTH)
        self._is_whole = False
        try:
            self._ready = deque(self._prefetcher.get())
        except BaseException:
            self.stop()
            raise
        self._is_whole = True
