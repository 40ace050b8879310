"""What the end of a task means for its item: an answer, a fault that passes, or the end of all.

Used by `drive.py`.
"""

import errno
import re

from jobs.executors.calls import portable
from jobs.executors.executor import Outcome
from jobs.isolation import place_of
from jobs.steps import KILLED_WORKER, RAISED_ERROR, Failure
from schemas.errors import BlankstreamError, StorageError
from schemas.plan import WorkItem
from schemas.storage import TEMPORARY_MARK

_MAX_DETAIL_CHARACTERS = 200

_LASTING = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EROFS", "EDQUOT", "EACCES", "EPERM", "ENOENT", "EFBIG")
)
"""Errors of a disk that trying again does not help."""


def passes(error: BaseException) -> bool:
    """Whether trying again later may help: a server, or a disk that is not full or forbidden.

    A draft that is gone was taken for a leftover, or lost by a file system: another one may stay.
    """
    if isinstance(error, OSError):
        is_draft_gone = error.errno == errno.ENOENT and TEMPORARY_MARK in str(error)
        return is_draft_gone or error.errno not in _LASTING
    return isinstance(error, StorageError)


def ends_the_build(error: BaseException) -> bool:
    """Whether no document is to blame: it was raised on purpose, by a disk, or by code that found
    itself to be wrong."""
    return isinstance(error, BlankstreamError | OSError | AssertionError | ImportError)


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


def kept_failing(item: WorkItem, times: int, error: BaseException) -> StorageError:
    """What ends a build when storage failed one step so many times, at last with `error`."""
    return StorageError(
        f"{place_of(item)}: fails again after {times - 1} retries ({error}); what was finished "
        "stays: run the same command again when storage answers"
    )


def kept_losing_nodes(item: WorkItem, times: int, death: str) -> BlankstreamError:
    """What ends a build when the nodes of one step were lost so many times, at last by `death`."""
    return BlankstreamError(
        f"{place_of(item)}: the node it ran on was lost {times} times in a row ({death}); see why "
        "nodes leave the cluster, and run the same command again. What was finished stays"
    )
