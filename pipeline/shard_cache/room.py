"""Room in the cache for one more file, within its limit and on its disk.

Stands between the choice of what may go (`eviction.py`) and the download.
"""

import errno
import time

from pipeline.shard_cache.contents import Contents
from pipeline.shard_cache.draft import Draft
from pipeline.shard_cache.eviction import Urgency, victims
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.waiting import holder_of
from pipeline.stores.stopping import NEVER, Stop
from schemas.errors import StorageError, UserError
from schemas.manifest import FileHashes

RAISE = "raise the limit (`cache_bytes`, `--cache-bytes`)"
"""What to do where a cache is too small, for a message."""

_FULL = (errno.ENOSPC, errno.EDQUOT)

_ALONE_SECONDS = 1.0
"""How long a file that is needed goes on trying where nobody is fetching; a lock that is in the way
of one attempt is held for a moment only."""


class NoRoomError(Exception):
    """There is no room just now for what is fetched ahead."""


def make_draft(
    cache: CacheFolder, hashes: FileHashes, urgency: Urgency, stop: Stop = NEVER
) -> Draft:
    """A draft with room for a file, for the holder of the file's lock.

    What is needed waits as the rules of the cache say, then raises `StorageError` with all numbers,
    or `StoppedError` once `stop` is set; `UserError` for a file that is larger than the limit.
    Fetching ahead raises `NoRoomError`.
    """
    begun = last_fetching = time.monotonic()
    while True:
        with cache.locked_all(stop) as contents:
            now = time.monotonic()
            if urgency is Urgency.NEEDED and now - begun > cache.rules.patience_seconds:
                urgency = Urgency.WAITED
            if draft := _draft_now(cache, contents, hashes, urgency):
                return draft
            if urgency is Urgency.AHEAD:
                raise NoRoomError
            if contents.drafts or urgency is not Urgency.WAITED:
                last_fetching = now
            _check_hope(cache, contents, hashes.bytes, (now - begun, now - last_fetching))
        stop.pause(cache.rules.poll_seconds, str(cache.folder))


def _draft_now(
    cache: CacheFolder, contents: Contents, hashes: FileHashes, urgency: Urgency
) -> Draft | None:
    missing = hashes.bytes - _free(cache, contents)
    if missing > 0:
        going = list(victims(contents, cache.uses, cache.rules, urgency))
        if missing > sum(one.bytes for one in going):
            return None
        for one in going:
            if missing > 0 and cache.evicted(one):
                missing -= one.bytes
    try:
        return Draft(cache.folder, hashes.sha256, hashes.bytes) if missing <= 0 else None
    except OSError as error:
        if error.errno in _FULL:
            return None
        raise


def _free(cache: CacheFolder, contents: Contents) -> int:
    """Bytes that may be added: within the limit, and on the disk."""
    return min(cache.limit_bytes - contents.bytes, cache.disk_free())


def _check_hope(
    cache: CacheFolder, contents: Contents, needed: int, waits: tuple[float, float]
) -> None:
    """Raise unless waiting may help; `waits` are the seconds in which there was no room, and those
    in which nothing was being fetched either though every file might have gone."""
    waited, alone = waits
    if needed > cache.limit_bytes:
        numbers = _numbers(cache, contents, needed)
        raise UserError(f"{cache.folder}: a file is larger than the cache: {numbers}; {RAISE}")
    # Nobody is about to end a download and leave a file that may go, and every file that is there
    # was tried again and again: what is in the way is not the cache's, or locked by who is stuck.
    is_alone = alone > _ALONE_SECONDS
    # Were all files of the cache deleted, and all downloads ended: others have filled the disk.
    is_hopeless = needed > _free(cache, contents) + contents.bytes
    if is_hopeless or is_alone or waited > cache.rules.longest_seconds:
        holders = sorted({holder_of(draft.path) for draft in contents.drafts})
        fetching = f"; {' and '.join(holders)} still fetching" if holders else ""
        raise StorageError(
            f"{cache.folder}: no room for a file after {waited:.0f} s: "
            f"{_numbers(cache, contents, needed)}{fetching}; free space on the disk, or {RAISE}"
        )


def _numbers(cache: CacheFolder, contents: Contents, needed: int) -> str:
    fetching = sum(one.bytes for one in contents.drafts)
    return (
        f"{needed} bytes are needed, the limit is {cache.limit_bytes}, of which {contents.bytes} "
        f"are taken ({fetching} by what is being fetched), and the disk has {cache.disk_free()} "
        "free"
    )


def check_room(cache: CacheFolder, needed_bytes: int, what: str, remedy: str = "") -> None:
    """Raise one `UserError` with all numbers unless `needed_bytes` for `what` ("a window of 8
    shards") fit within the limit and on the disk, as if nothing else were in the cache.

    A `remedy` of the caller's own is named first.
    """
    with cache.locked_all() as contents:
        taken, free = contents.bytes, cache.disk_free()
    if needed_bytes > min(cache.limit_bytes, free + taken):
        raise UserError(
            f"{cache.folder}: too small for {what}: {needed_bytes} bytes are needed at once, the "
            f"limit of the cache is {cache.limit_bytes}, it holds {taken}, and its disk has {free} "
            f"more; {remedy}{', ' * bool(remedy)}{RAISE}, free space on the disk, or choose "
            "another folder"
        )
