"""Files of one data set -> the cache: one process downloads, the others find what it made.

Stands between a store and the cache, below the place that readers ask (`place.py`).
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.shard_cache.draft import Draft
from pipeline.shard_cache.eviction import Urgency
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.quarantine import quarantine
from pipeline.shard_cache.regions import damage_of
from pipeline.shard_cache.room import make_draft
from pipeline.stores.retries import Retries
from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import BlankstreamError, CorruptDataError
from schemas.manifest import FileHashes, StoredFile

TRIES = Retries(tries=4, first_wait_seconds=0.5)
"""How often a file that arrives damaged is downloaded, and the pauses between; the store tries each
request again by itself."""

_PIECE_BYTES = 2**20


class StoppedError(BlankstreamError):
    """A download was given up because nobody wants it any more."""


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

    def fetch(self, stored: StoredFile, urgency: Urgency, stop: threading.Event) -> Path | None:
        """The file, from the cache or downloaded, never damaged on the way.

        What is needed waits for whoever is downloading it; fetching ahead gets None instead, and
        `NoRoomError` where there is no room. Raises `CorruptDataError` for what is missing or
        arrives damaged each time, and what the store, the disk and `make_draft` raise.
        """
        hashes = stored.hashes
        with self.cache.locked(hashes.sha256, urgency is not Urgency.AHEAD) as is_locked:
            if not is_locked:
                return None
            if found := self.cached(hashes):
                return found
            size = self.cache.size(hashes.sha256)
            if size is not None:
                self._set_aside(stored, f"{size} bytes long, expected {hashes.bytes}")
            with make_draft(self.cache, hashes, urgency) as draft:
                self._download(stored, draft, stop)
                self.cache.uses.touch(hashes.sha256)
                return draft.commit()

    def _download(self, stored: StoredFile, draft: Draft, stop: threading.Event) -> None:
        tried = 0
        while damage := self._damage_of_download(stored, draft, stop):
            tried += 1
            if tried >= self.tries.tries:
                raise CorruptDataError(
                    f"{self.store.where(stored.path)}: {damage} (in each of {tried} downloads); "
                    f"{REBUILD_REMEDY}"
                )
            stop.wait(self.tries.wait_seconds(tried))

    def _damage_of_download(self, stored: StoredFile, draft: Draft, stop: threading.Event) -> str:
        def written() -> Iterator[bytes]:
            for piece in self.store.pieces(stored.path):
                if stop.is_set():
                    raise StoppedError(f"{stored.path}: not wanted any more")
                yield piece
                # Behind the look at it: what is too long must not outgrow its room.
                draft.write(piece)

        draft.rewind()
        try:
            return damage_of(written(), stored.hashes)
        except FileNotFoundError:
            return f"missing, expected {stored.hashes.bytes} bytes"

    def set_aside(self, stored: StoredFile, why: str) -> bool:
        """Quarantine the cached copy if it is damaged, which is looked at again; False when there
        is none."""
        sha256 = stored.hashes.sha256
        with self.cache.locked(sha256):
            try:
                found = damage_of(_pieces(self.cache.path(sha256)), stored.hashes)
            except FileNotFoundError:
                return False
            if found:
                self._set_aside(stored, f"{found} (a reader said: {why})")
        return True

    def _set_aside(self, stored: StoredFile, why: str) -> None:
        note = {"from": self.store.where(stored.path), "bytes": stored.hashes.bytes, "why": why}
        quarantine(self.cache, stored.hashes.sha256, note)


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb", buffering=0, opener=_opened) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
