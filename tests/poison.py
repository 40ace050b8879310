"""A worker that dies of certain documents: what a test puts in place of a build's functions.

Functions of a module, since they are sent to workers by name.
"""

import os
import signal
from typing import Any

from pipeline import probe, text
from pipeline.build import BuildContext, build_work_item
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemResult

KILLS, RAISES = "This document kills its worker.", "This document raises an error."
_encode = text._encode


def _deadly(documents: list[Any], *others: Any) -> Any:
    for document in documents:
        if KILLS in document.text:
            os.kill(os.getpid(), signal.SIGKILL)
        if RAISES in document.text:
            raise RuntimeError("panic in a library")
    return _encode(documents, *others)


def build_or_die(
    context: BuildContext, item: WorkItem, excluded: tuple[Exclusion, ...] = ()
) -> ItemResult:
    text._encode = _deadly
    return build_work_item(context, item, excluded)


def probe_or_die(
    context: BuildContext, item: WorkItem, excluded: tuple[Exclusion, ...], first: int, stop: int
) -> None:
    text._encode = _deadly
    probe.probe_documents(context, item, excluded, first, stop)
