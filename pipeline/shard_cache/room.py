"""Room in the cache for one more file, within its limit and on its disk.

Stands between the choice of what may go (`eviction.py`) and the download.
"""

import errno
import time

from pipeline.shard_cache.contents import Contents
from pipeline.shard_cache.draft import Draft
from pipeline.shard_cache.eviction import Urgency, victims
from pipeline.shard_cache.folder import CacheFolder
from schemas.errors import StorageError, UserError
from schemas.manifest import FileHashes

_FULL = (errno.ENOSPC, errno.EDQUOT)


class NoRoomError(Exception):
    """There is no room just now for what is fetched ahead."""


def make_draft(cache: CacheFolder, hashes: FileHashes, urgency: Urgency) -> Draft:
    """A draft with room for a file, for the holder of the file's lock.

    What is needed waits as the rules of the cache say, then raises `StorageError` with all numbers;
    `UserError` for a file that is larger than the limit. Fetching ahead raises `NoRoomError`.
    """
    begun = time.monotonic()
    while True:
        waited = time.monotonic() - begun
        if urgency is Urgency.NEEDED and waited > cache.rules.patience_seconds:
            urgency = Urgency.WAITED
        with cache.locked_all() as contents:
            if draft := _draft_now(cache, contents, hashes, urgency):
                return draft
            if urgency is Urgency.AHEAD:
                raise NoRoomError
            _check_hope(cache, contents, hashes.bytes, waited)
        time.sleep(cache.rules.poll_seconds)


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


def _check_hope(cache: CacheFolder, contents: Contents, needed: int, waited: float) -> None:
    """Raise unless waiting may help."""
    fetching = sum(one.bytes for one in contents.drafts)
    numbers = (
        f"{needed} bytes are needed, the limit is {cache.limit_bytes}, of which {contents.bytes} "
        f"are taken ({fetching} by what is being fetched), and the disk has {cache.disk_free()} "
        "free"
    )
    if needed > cache.limit_bytes:
        raise UserError(f"{cache.folder}: a file is larger than the cache: {numbers}; raise it")
    is_alone = waited > cache.rules.patience_seconds + 1 and not contents.drafts
    is_hopeless = needed > _free(cache, contents) + contents.bytes
    if is_hopeless or is_alone or waited > cache.rules.longest_seconds:
        raise StorageError(
            f"{cache.folder}: no room for a file after {waited:.0f} s: {numbers}; free space on "
            "the disk, or raise the limit of the cache"
        )


def check_room(cache: CacheFolder, needed_bytes: int, what: str) -> None:
    """Raise one `UserError` with all numbers unless `needed_bytes` for `what` ("a window of 8
    shards") fit within the limit and on the disk, as if nothing else were in the cache."""
    with cache.locked_all() as contents:
        taken, free = contents.bytes, cache.disk_free()
    if needed_bytes > min(cache.limit_bytes, free + taken):
        raise UserError(
            f"{cache.folder}: too small for {what}: {needed_bytes} bytes are needed at once, the "
            f"limit of the cache is {cache.limit_bytes}, it holds {taken}, and its disk has {free} "
            "more; raise the limit, free space on the disk, or choose another folder"
        )
