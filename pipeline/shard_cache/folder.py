"""The cache: a folder of files named by their content, which all processes of a machine share.

Stands between the files and what makes room among them (`room.py`). Below the folder are `objects`,
`locks`, `drafts` (being fetched) and `quarantine`; everything else in it is left alone.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from pipeline.shard_cache.contents import (
    QUARANTINE,
    Contents,
    Found,
    lock_path,
    look,
    look_at_drafts,
    object_path,
)
from pipeline.shard_cache.eviction import CacheRules
from pipeline.shard_cache.locks import is_held, locked_file, locked_folder
from pipeline.shard_cache.marker import check_folder, check_marked, make_below
from pipeline.shard_cache.uses import Uses
from pipeline.shard_cache.waiting import LockWait
from pipeline.stores.stopping import NEVER, Stop
from schemas.errors import StorageError, UserError

CACHE_BYTES = 100 * 10**9
"""Most that a cache takes, unless told otherwise."""


class CacheFolder:
    """Files of any data set below `folder`, at most `limit_bytes` of them over all processes.

    What is being fetched counts at its full size, damaged copies that were set aside count too.
    Threads may share it. Files may go at any time while others have them open or mapped, which
    stay readable. `UserError` for a folder that is in use for something else.
    """

    def __init__(self, folder: Path, limit_bytes: int, rules: CacheRules | None = None) -> None:
        self.folder, self.limit_bytes = folder.absolute(), limit_bytes
        self.rules = rules or CacheRules()
        self.uses = Uses(self.folder, self.rules.spared_seconds)
        if limit_bytes <= 0:
            raise UserError(f"{folder}: a cache limit of {limit_bytes} bytes, expected more than 0")
        check_folder(self.folder, self._wait(self.folder, NEVER))

    def path(self, sha256: str) -> Path:
        """Where the file with the content `sha256` is, when it is there."""
        return object_path(self.folder, sha256)

    def size(self, sha256: str) -> int | None:
        """Bytes of a file; None when it is not there."""
        with suppress(FileNotFoundError):
            return os.stat(self.path(sha256), follow_symlinks=False).st_size
        return None

    def locked(
        self, sha256: str, wait: bool = True, stop: Stop = NEVER
    ) -> AbstractContextManager[bool]:
        """Be the one who fetches, sets aside or evicts a file; False where another one is.

        With `wait` that one is waited for, however long its download goes on; errors as of
        `LockWait` with the rules of the cache, `StorageError` where the folder is none any more.
        """
        path = lock_path(self.folder, sha256)
        make_below(self.folder, path.parent)
        signs = partial(self._drafts_of, sha256)
        return locked_file(path, self._wait(path, stop, signs) if wait else None)

    @contextmanager
    def locked_all(self, stop: Stop = NEVER) -> Iterator[Contents]:
        """What the cache holds, while nobody else makes or takes room in it.

        What dead processes were fetching is deleted. Taken after the lock on a file, never before
        waiting for one. `StorageError` as of `disk_errors`, and when a paused process keeps it
        locked (`LockWait`).
        """
        with ExitStack() as stack:
            with self.disk_errors():
                stack.enter_context(locked_folder(self.folder, self._wait(self.folder, stop)))
                check_marked(self.folder)
                for draft in look_at_drafts(self.folder):
                    _remove_if_dead(draft)
                contents = look(self.folder)
            yield contents

    @contextmanager
    def disk_errors(self) -> Iterator[None]:
        """`OSError` becomes the `StorageError` that says which file of the cache cannot be used, or
        that the folder is no cache any more."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                check_marked(self.folder)
            place = error.filename if isinstance(error.filename, str) else self.folder
            raise StorageError(
                f"{place}: the cache cannot be used ({error.strerror or error}); see to it and to "
                "its disk, and run the same command again"
            ) from error

    def disk_free(self) -> int:
        """Bytes that this user may still write to the disk."""
        with self.disk_errors():
            status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def evicted(self, one: Found) -> bool:
        """Delete a file under the lock of all, unless somebody is at it; whether that was done."""
        if one.path.parent.name == QUARANTINE:
            one.path.unlink(missing_ok=True)
            return True
        with self.locked(one.sha256, wait=False) as is_locked:
            if is_locked:
                one.path.unlink(missing_ok=True)
                lock_path(self.folder, one.sha256).unlink(missing_ok=True)
            return is_locked

    def _drafts_of(self, sha256: str) -> list[Found]:
        """What a download of the file has written so far."""
        return [draft for draft in look_at_drafts(self.folder) if draft.sha256 == sha256]

    def _wait(self, path: Path, stop: Stop, signs: Callable[[], object] = lambda: None) -> LockWait:
        return LockWait(path, self.rules.longest_seconds, stop, signs)


def _remove_if_dead(draft: Found) -> None:
    """Delete what nobody is fetching: drafts are made under the lock that is held here."""
    if not is_held(draft.path):
        draft.path.unlink(missing_ok=True)
