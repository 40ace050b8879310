"""A data set behind a URL as a place of files: local copies, fetched before they are needed.

Stands between the readers of rows, which verify every byte they use, and the cache.
"""

import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.shard_cache.ahead import Ahead
from pipeline.shard_cache.eviction import Urgency
from pipeline.shard_cache.fetch import TRIES, Fetcher
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.room import RAISE
from pipeline.shard_cache.uses import Recent
from pipeline.stores.names import checked_name
from pipeline.stores.retries import Retries
from pipeline.stores.stopping import Stop
from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import CorruptDataError, DatasetError, StorageError
from schemas.manifest import StoredFile

_MAX_LOSSES = 200
"""How often in a row a file may go right after it was fetched; longer than `spared_seconds` after
it, it may go, and the row ends."""


class CachedPlace:
    """The files of the data set in `store`, as copies in `cache`; implements `ShardPlace`.

    The cache is shared with other data sets and other processes. A copy stays where it is for a
    few seconds after it was asked for (`CacheRules`); open it then, and ask again when it is gone.
    One thread at a time uses it; any other may `interrupt` that one.
    """

    are_copies = True

    def __init__(self, store: Store, cache: CacheFolder, tries: Retries = TRIES) -> None:
        self.cache = cache
        self._store, self._fetcher = store, Fetcher(store, cache, tries)
        self._tries = tries.tries
        self._stop = Stop()
        self._damaged: Counter[str] = Counter()
        self._given_up: CorruptDataError | None = None
        self._lost: Recent[int] = Recent(cache.rules.spared_seconds)
        self._reader = object()
        self._ahead: Ahead | None = None

    def path(self, stored: StoredFile) -> Path:
        """The copy, of the right size; downloaded first where there is none.

        `DatasetError` for a name that leads out of the data set, `CorruptDataError` for a file that
        is missing or arrives damaged each time, `StorageError` for a server or a disk that fails,
        for one who keeps the file or the room locked, and after `interrupt`.
        """
        self._checked(stored)
        self._stop.check(self._store.where(stored.path))
        with self.cache.disk_errors():
            return self._fetcher.cached(stored.hashes) or self._fetched(stored)

    def _fetched(self, stored: StoredFile) -> Path:
        sha256 = stored.hashes.sha256
        losses = self._lost.of(sha256) or 0
        self._check_losses(stored, losses)
        try:
            found = self._fetcher.fetch(stored, Urgency.NEEDED, self._stop)
        except CorruptDataError as error:
            self._given_up = error
            raise
        assert found is not None, "what is needed is waited for"
        self._lost.note(sha256, losses + 1)
        return found

    def interrupt(self) -> None:
        """Whoever waits in `path` or `set_aside` gives up with `StorageError`, and so does whoever
        calls them, until `proceed`. Any thread may say so; what is fetched ahead goes on.

        Pauses, the wait for a lock or for room, and requests end in a tenth of a second. Only what
        the system is reading from or writing to a disk is ended first, and a request (for 32 MiB at
        most, within the time limits of its sockets) where the file system of the URL is not
        asynchronous; those of S3, Google's and Azure's storage and HTTP are.
        """
        self._stop.set()

    def proceed(self) -> None:
        """Take `interrupt` back."""
        self._stop.clear()

    def set_aside(self, stored: StoredFile, error: CorruptDataError) -> bool:
        """Quarantine the copy, if it is still there and damaged; whether to ask for `path` again.

        False for an error that `path` itself raised, after all its downloads. A copy that was
        evicted before it was opened is no damaged one, whatever others have fetched since; `path`
        counts those. `CorruptDataError` with the URL once this process has found copies of the file
        damaged as often as it may be downloaded.
        """
        if error is self._given_up:
            return False
        if isinstance(error.__cause__, FileNotFoundError):
            return True
        sha256 = self._checked(stored).hashes.sha256
        with self.cache.disk_errors():
            if self._fetcher.set_aside(stored, str(error), self._stop):
                self._damaged[sha256] += 1
        if self._damaged[sha256] >= self._tries:
            raise CorruptDataError(
                f"{self._store.where(stored.path)}: arrived undamaged, but {self._tries} copies of "
                f"it in the cache were then found damaged ({error}); check the disk and the memory "
                "of this machine, or choose another folder for the cache"
            ) from error
        return True

    def ahead(self, wanted: Sequence[StoredFile]) -> None:
        """What will be asked for next, the soonest first: name first what is still being read.

        As many as fit within the limit are fetched by threads, and are not evicted for the sake of
        others; a further call replaces them.
        """
        chosen = list(self._within_limit(wanted))
        self.cache.uses.expect(self._reader, [stored.hashes.sha256 for stored in chosen])
        if self._ahead is None or self._ahead.is_lost:
            fetcher = self._fetcher
            self._ahead = Ahead(lambda one, stop: fetcher.fetch(one, Urgency.AHEAD, stop))
            self._end = weakref.finalize(self, _end, self._ahead, self.cache, self._reader)
        self._ahead.want(chosen)

    def close(self) -> None:
        """Stop what is fetched ahead; files that are open stay readable, `path` may be asked."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            self._end()
            ahead.close()

    def _within_limit(self, wanted: Sequence[StoredFile]) -> Iterator[StoredFile]:
        room, seen = self.cache.limit_bytes, set[str]()
        for stored in wanted:
            if stored.hashes.sha256 not in seen:
                seen.add(stored.hashes.sha256)
                room -= stored.hashes.bytes
                if room < 0:
                    return
                yield stored

    def _checked(self, stored: StoredFile) -> StoredFile:
        checked_name(self._store.place, stored.path)
        try:
            stored.hashes.check()
        except ValueError as error:
            raise DatasetError(
                f"{self._store.where(stored.path)}: cannot be fetched, since its hashes are none "
                f"({error}); {REBUILD_REMEDY}"
            ) from error
        return stored

    def _check_losses(self, stored: StoredFile, losses: int) -> None:
        if losses > _MAX_LOSSES:
            raise StorageError(
                f"{self.cache.folder}: the copy of {self._store.where(stored.path)} went "
                f"{losses} times right after it was fetched: the limit of "
                f"{self.cache.limit_bytes} bytes is too small for what is read at once; {RAISE}"
            )


def _end(ahead: Ahead, cache: CacheFolder, reader: object) -> None:
    """What is left to do for a place that is closed, or garbage. Garbage is collected wherever
    memory is asked for, inside of any lock too: nothing here may wait for one."""
    ahead.stop()
    cache.uses.drop(reader)
