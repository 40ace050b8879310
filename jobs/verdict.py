"""What the end of a task means for its item: an answer, a fault that passes, or the end of all.

Used by `drive.py`.
"""

import errno
import re

from jobs.executors.calls import portable
from jobs.executors.executor import Outcome
from jobs.steps import KILLED_WORKER, RAISED_ERROR, Failure
from schemas.errors import BlankstreamError, StorageError

_MAX_DETAIL_CHARACTERS = 200

_LASTING = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EROFS", "EDQUOT", "EACCES", "EPERM", "ENOENT", "EFBIG")
)
"""Errors of a disk that trying again does not help."""


def passes(error: BaseException) -> bool:
    """Whether trying again later may help: a server, or a disk that is not full or forbidden."""
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return isinstance(error, StorageError)


def ends_the_build(error: BaseException) -> bool:
    """Whether it was raised on purpose, or by a disk: no document is to blame."""
    return isinstance(error, BlankstreamError | OSError)


def failure_of(outcome: Outcome) -> Failure:
    """A death, or an error that nobody foresaw, as a reason to look for a document."""
    if outcome.death:
        text = f"its worker process died: {outcome.death}"
        return Failure(KILLED_WORKER, "its worker process died", text)
    assert outcome.error is not None
    error = portable(outcome.error)
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    first_line = text.splitlines()[0]
    detail = re.sub(r"\b0x[0-9a-f]+", "0x...", first_line)[:_MAX_DETAIL_CHARACTERS]
    return Failure(RAISED_ERROR, detail, text, outcome.error)
