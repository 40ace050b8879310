"""Damaged copies, set aside in the cache with a note of why, a bounded number of them.

Stands beside the download: what was set aside is fetched again, and is never read again.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.shard_cache.contents import QUARANTINE, aside_path, look
from pipeline.shard_cache.folder import CacheFolder
from pipeline.stores.stopping import NEVER, Stop

MAX_FILES, MAX_NOTES = 8, 64
"""How many copies and how many notes are kept, the last ones."""
LIMIT_PART = 4
"""Copies take at most this part of the cache's limit, one over it; they go before all else when
room is needed."""

_NOTE = re.compile(r"[0-9a-f]{64}-[0-9]{1,9}\.json")


def quarantine(
    cache: CacheFolder, sha256: str, note: Mapping[str, object], stop: Stop = NEVER
) -> None:
    """Move a file out of use, for the holder of its lock; `note` says why.

    Copies and notes that are too many go, the oldest first.
    """
    with cache.locked_all(stop):
        target = _free_name(cache.folder, sha256)
        target.parent.mkdir(exist_ok=True)
        cache.path(sha256).replace(target)
        os.utime(target, follow_symlinks=False)
        text = json.dumps({**note, "sha256": sha256}, indent=1, sort_keys=True)
        _note_of(target).write_text(text + "\n", encoding="utf-8")
        _thin_out(cache)


def _free_name(folder: Path, sha256: str) -> Path:
    number = 0
    while any(map(os.path.lexists, (path := aside_path(folder, sha256, number), _note_of(path)))):
        number += 1
    return path


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _thin_out(cache: CacheFolder) -> None:
    aside = look(cache.folder).aside
    room = cache.limit_bytes // LIMIT_PART
    while aside and (len(aside) > MAX_FILES or sum(one.bytes for one in aside) > room):
        aside.pop(0).path.unlink(missing_ok=True)
    with os.scandir(cache.folder / QUARANTINE) as entries:
        notes = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
            for entry in entries
            if _NOTE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
    for _, path in sorted(notes)[:-MAX_NOTES]:
        os.unlink(path)
