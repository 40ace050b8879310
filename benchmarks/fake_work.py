"""What `scale.py` builds in place of a data set: tasks that return at once, one real record.

The tasks are functions of this module, so that worker processes can be sent them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.corpus import write_jsonl
from jobs.build import BuildRequest, build_dataset
from jobs.executors.calls import call
from jobs.executors.choice import open_executor
from jobs.executors.executor import Executor, ExecutorOptions, Outcome
from jobs.plan_build import read_plan
from pipeline.plan_tables import PlanReader
from pipeline.records import commit_record, read_record
from pipeline.stores.local import LocalStore
from schemas.build_config import BuildConfig, TokenizerConfig
from schemas.plan import WorkItem
from schemas.record import Exclusion, ItemRecord, ItemResult
from tests.corpus import NoProgress


class AtOnce:
    """An `Executor` of this process: what was submitted has been done when one waits."""

    slots, workers = 64, 32

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, task: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Keep it."""
        self._waiting.append((task, function, arguments))

    def wait(self, seconds: float) -> list[Outcome]:
        """Do all."""
        done = []
        while self._waiting:
            task, function, arguments = self._waiting.popleft()
            reply = call(function, *arguments)
            name = f"worker {task % self.workers}"
            done.append(Outcome(task, name, reply.seconds, reply.result, reply.error))
        return done

    def running(self) -> dict[str, int]:
        """Nothing."""
        return {}


@contextmanager
def opened(name: str) -> Iterator[Executor]:
    """The executor `name` with two workers; without a name, tasks are done in this process."""
    if not name:
        yield AtOnce()
        return
    with open_executor(ExecutorOptions(name, 2)) as executor:
        yield executor


def build_nothing(context: object, item: WorkItem, excluded: tuple[Exclusion, ...]) -> ItemResult:
    """In place of `build_work_item`."""
    seconds = {"check": 0.01, "tokens": 5.0, "samples": 1.0, "rows": 1.0}
    return ItemResult(item.name, 4000, 9000, item.slice.bytes, item.slice.bytes, 0, seconds)


def write_record(
    context: tuple[str, ItemRecord], item: WorkItem, excluded: tuple[Exclusion, ...]
) -> ItemResult:
    """As `build_nothing`, and commit a record."""
    commit_record(LocalStore(Path(context[0])), item, context[1])
    return build_nothing(context, item, excluded)


def built_record(folder: Path) -> tuple[dict[str, Any], ItemRecord]:
    """Recipe and record of a small data set that is really built."""
    folder.mkdir()
    write_jsonl(folder / "text.jsonl", 0.5)
    config = BuildConfig(
        heldout_ratio=0.1, tokenizer=TokenizerConfig(vocab_size=2000, sample_characters=300_000)
    )
    request = BuildRequest(config, [folder / "text.jsonl"], folder / "d", "serial", 1)
    build_dataset(request, NoProgress())
    store = LocalStore(folder / "d")
    plan = read_plan(store)
    assert plan
    with PlanReader(store, plan) as reader:
        record = read_record(store, next(reader.items()))
    assert record
    return plan.recipe, record
