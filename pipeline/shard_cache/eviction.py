"""Which files of a full cache go: those not needed again soon, and nobody's that are in use.

Stands between the uses of files and the room that is made for others (`room.py`).

Room for a file is taken from others, column by column, as far as its urgency goes:

| for a file | set aside | not expected here | expected here      | just used here | elsewhere |
|------------|-----------|-------------------|--------------------|----------------|-----------|
| AHEAD      | go        | go, oldest first  | stay               | stay           | stay      |
| NEEDED     | go        | go, oldest first  | go, the last first | go             | stay      |
| WAITED     | go        | go, oldest first  | go, the last first | go             | go        |

Here is this process, elsewhere every other one. Just used means `spared_seconds` ago at most: those
files stay where the last two columns say so, whatever the two before say, and are like all others
where they go. What is being fetched, and a file that somebody has locked, stays in each case.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from pipeline.shard_cache.contents import Contents, Found
from pipeline.shard_cache.uses import Uses


@dataclass(frozen=True, kw_only=True)
class CacheRules:
    """How long processes that share a cache spare each other's files.

    What another process asked for in the last `spared_seconds` stays, so that processes which read
    the same order at nearly the same place do not take files from each other; fetching ahead also
    leaves what this process itself asked for within them. A file that is needed at once waits for
    room, up to `patience_seconds`, then takes that of any file. So a file that was fetched stays
    long enough to be opened, and each is fetched at most once in `spared_seconds` by each process.
    While others are still fetching, it waits for them up to `longest_seconds`; so does whoever
    finds a lock held, from the last time that its holder was seen to do something.
    """

    spared_seconds: float = 2.0
    patience_seconds: float = 8.0
    longest_seconds: float = 600.0
    poll_seconds: float = 0.1


class Urgency(IntEnum):
    """What a file that needs room may take it from: a line of the table above."""

    AHEAD = 0
    """Fetched before it is needed."""
    NEEDED = 1
    """Somebody here waits for it."""
    WAITED = 2
    """Somebody here has waited for `patience_seconds`."""


def victims(contents: Contents, uses: Uses, rules: CacheRules, urgency: Urgency) -> Iterator[Found]:
    """What may go, in this order: damaged copies set aside, the oldest first; files that are not
    expected, the least recently used first; those that are, the last of the order first."""
    yield from contents.aside
    expected, spare = uses.expected(), _Spare(uses, rules, urgency)
    last = {one.sha256: uses.last(one.sha256) for one in contents.objects}
    free = [one for one in contents.objects if not spare.is_spared(one.sha256, last[one.sha256])]
    others = [one for one in free if one.sha256 not in expected]
    yield from sorted(others, key=lambda one: last[one.sha256])
    if urgency > Urgency.AHEAD:
        named = [one for one in free if one.sha256 in expected]
        yield from sorted(named, key=lambda one: -expected[one.sha256])


class _Spare:
    """Which files were used too recently, as of one moment."""

    def __init__(self, uses: Uses, rules: CacheRules, urgency: Urgency) -> None:
        self._uses, self._urgency = uses, urgency
        self._now, self._nanoseconds = time.time_ns(), rules.spared_seconds * 1e9

    def is_spared(self, sha256: str, last: int) -> bool:
        """Whether the file with this last use (ns) stays. A clock that was set back spares none."""
        if self._urgency is Urgency.WAITED or abs(self._now - last) > self._nanoseconds:
            return False
        return self._urgency is Urgency.AHEAD or not self._uses.is_ours(sha256, last)
