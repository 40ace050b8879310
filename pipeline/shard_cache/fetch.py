"""Files of one data set -> the cache: one process downloads, the others find what it made.

Stands between a store and the cache, below the place that readers ask (`place.py`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.shard_cache.draft import Draft
from pipeline.shard_cache.eviction import Urgency
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.quarantine import quarantine
from pipeline.shard_cache.regions import damage_of
from pipeline.shard_cache.room import make_draft
from pipeline.stores.retries import Retries
from pipeline.stores.stopping import Stop
from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import CorruptDataError
from schemas.manifest import FileHashes, StoredFile

TRIES = Retries(tries=4, first_wait_seconds=0.5)
"""How often a file that arrives damaged is downloaded, and the pauses between; the store tries each
request again by itself."""

_PIECE_BYTES = 2**20


class Fetcher:
    """Downloads from `store` to `cache`; threads may share it."""

    def __init__(self, store: Store, cache: CacheFolder, tries: Retries = TRIES) -> None:
        self.store, self.cache, self.tries = store, cache, tries

    def cached(self, hashes: FileHashes) -> Path | None:
        """The file, used just now, when it is there with the right size."""
        if self.cache.size(hashes.sha256) != hashes.bytes:
            return None
        self.cache.uses.touch(hashes.sha256)
        return self.cache.path(hashes.sha256)

    def fetch(self, stored: StoredFile, urgency: Urgency, stop: Stop) -> Path | None:
        """The file, from the cache or downloaded, never damaged on the way.

        What is needed waits for whoever is downloading it; fetching ahead gets None instead, and
        `NoRoomError` where there is no room. Raises `CorruptDataError` for what is missing or
        arrives damaged each time, `StoppedError` once `stop` is set and there is something to wait
        for, and what the store, the disk, the locks and `make_draft` raise.
        """
        hashes = stored.hashes
        with self.cache.locked(hashes.sha256, urgency is not Urgency.AHEAD, stop) as is_locked:
            if not is_locked:
                return None
            if found := self.cached(hashes):
                return found
            size = self.cache.size(hashes.sha256)
            if size is not None:
                self._set_aside(stored, f"{size} bytes long, expected {hashes.bytes}", stop)
            with make_draft(self.cache, hashes, urgency, stop) as draft:
                self._download(stored, draft, stop)
                self.cache.uses.touch(hashes.sha256)
                return draft.commit()

    def _download(self, stored: StoredFile, draft: Draft, stop: Stop) -> None:
        tried, where = 0, self.store.where(stored.path)
        while damage := self._damage_of_download(stored, draft, stop):
            tried += 1
            if tried >= self.tries.tries:
                raise CorruptDataError(
                    f"{where}: {damage} (in each of {tried} downloads); {REBUILD_REMEDY}"
                )
            stop.pause(self.tries.wait_seconds(tried), where)

    def _damage_of_download(self, stored: StoredFile, draft: Draft, stop: Stop) -> str:
        def written() -> Iterator[bytes]:
            for piece in self.store.pieces(stored.path, stop):
                stop.check(self.store.where(stored.path))
                yield piece
                # Behind the look at it: what is too long must not outgrow its room.
                draft.write(piece)

        draft.rewind()
        try:
            return damage_of(written(), stored.hashes)
        except FileNotFoundError:
            return f"missing, expected {stored.hashes.bytes} bytes"

    def set_aside(self, stored: StoredFile, why: str, stop: Stop) -> bool:
        """Quarantine the cached copy if it is damaged, which is looked at again; False when there
        is none. `StoppedError` once `stop` is set."""
        sha256 = stored.hashes.sha256
        with self.cache.locked(sha256, stop=stop):
            try:
                found = damage_of(_pieces(self.cache.path(sha256), stop), stored.hashes)
            except FileNotFoundError:
                return False
            if found:
                self._set_aside(stored, f"{found} (a reader said: {why})", stop)
        return True

    def _set_aside(self, stored: StoredFile, why: str, stop: Stop) -> None:
        note = {"from": self.store.where(stored.path), "bytes": stored.hashes.bytes, "why": why}
        quarantine(self.cache, stored.hashes.sha256, note, stop)


def _pieces(path: Path, stop: Stop) -> Iterator[bytes]:
    with open(path, "rb", buffering=0, opener=_opened) as stream:
        while piece := stream.read(_PIECE_BYTES):
            stop.check(str(path))
            yield piece


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
