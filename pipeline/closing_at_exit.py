"""What still has threads when the interpreter ends is closed first.

Stands beside `RowStream`. Daemon threads end without a word while the interpreter goes; whoever is
finalized after that, such as a generator around a stream, would wait for them for ever, or take
away the files that they are copying from.
"""

import atexit
import weakref
from contextlib import ExitStack
from typing import Protocol


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """More than once does no harm."""


_made: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(one: Closable) -> None:
    """Close `one` when the interpreter begins to end, unless it is garbage by then."""
    _made.add(one)


@atexit.register
def _close_all() -> None:
    with ExitStack() as stack:
        for one in list(_made):
            stack.callback(one.close)
