"""Items through an executor, for commands that only look: one call each, results as they come.

Stands beside `drive.py`, which does more for items that are built: here nothing is tried again.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from jobs.executors.executor import Executor
from schemas.errors import BlankstreamError
from schemas.plan import WorkItem

T = TypeVar("T")

_WAIT_SECONDS = 1.0


def for_each(
    executor: Executor,
    function: Callable[..., T],
    context: Any,
    tasks: Iterator[tuple[WorkItem, *tuple[Any, ...]]],
) -> Iterator[tuple[WorkItem, T]]:
    """Each item with `function(context, item, ...)`, in no fixed order.

    No more tasks are drawn than the executor has slots for. Raises what the function raises, and
    `BlankstreamError` when a worker dies.
    """
    running: dict[int, WorkItem] = {}
    numbers = itertools.count()
    while True:
        for task in itertools.islice(tasks, max(0, executor.slots - len(running))):
            number = next(numbers)
            running[number] = task[0]
            executor.submit(number, function, context, *task)
        if not running:
            return
        for outcome in executor.wait(_WAIT_SECONDS):
            item = running.pop(outcome.task)
            if outcome.error is not None:
                raise outcome.error
            if outcome.death:
                raise BlankstreamError(
                    f"a worker died at item {item.name} ({outcome.death}), perhaps for lack of "
                    "memory; run the same command again, with fewer --workers if it happens again"
                )
            yield item, outcome.result
