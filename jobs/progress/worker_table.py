"""The workers of a running build, a line each.

Part of `build_screen.py`; its numbers are in the status file, too.
"""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from jobs.progress.build_lines import duration
from jobs.progress.build_state import BuildState, WorkerState
from jobs.visible import visible


def worker_table(state: BuildState, now: float, max_lines: int) -> Table:
    """A line for each worker under a heading, in `max_lines` >= 3 lines."""
    workers = list(state.workers.values())
    chosen = sorted(workers, key=lambda one: one.name)
    if len(workers) + 1 > max_lines:
        chosen = sorted(workers, key=lambda one: (not one.item, one.since, one.name))
        chosen = chosen[: max_lines - 2]
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    table.add_column("worker", no_wrap=True, ratio=3)
    for name in ("items", "rows/s", "busy"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("building", no_wrap=True, ratio=4)
    for worker in chosen:
        table.add_row(*_cells(worker, state, now))
    if len(chosen) < len(workers):
        shown = {one.name for one in chosen}
        others = _workers_sum([one for one in workers if one.name not in shown])
        table.add_row(*_cells(others, state, now, len(workers) - len(chosen)))
    return table


def _workers_sum(workers: list[WorkerState]) -> WorkerState:
    """Several workers in one line."""
    return WorkerState(
        name=f"and {len(workers):,} more",
        items=sum(one.items for one in workers),
        rows=sum(one.rows for one in workers),
        busy_seconds=sum(one.busy_seconds for one in workers),
        deaths=sum(one.deaths for one in workers),
    )


def _cells(worker: WorkerState, state: BuildState, now: float, count: int = 1) -> Iterator[Text]:
    yield Text(visible(worker.name), "yellow" if worker.deaths else "")
    yield Text(f"{worker.items:,}")
    yield Text(f"{rows_per_second(worker):,.0f}")
    yield Text(f"{busy_share(worker, state, now, count):.0%}")
    building = f"{visible(worker.item)} for {duration(now - worker.since)}" if worker.item else ""
    died = f"died {worker.deaths:,} times" if worker.deaths > 1 else "died once"
    yield Text("; ".join(filter(None, (building, died if worker.deaths else ""))))


def rows_per_second(worker: WorkerState) -> float:
    """Rows over the seconds in which it worked."""
    return worker.rows / worker.busy_seconds if worker.busy_seconds > 0 else 0.0


def busy_share(worker: WorkerState, state: BuildState, now: float, count: int = 1) -> float:
    """Part (0..1) of the build's time in which it, or `count` workers summed up, did work.

    The item at hand is included.
    """
    elapsed = (now - state.started) * count
    busy = worker.busy_seconds + (max(0.0, now - worker.since) if worker.item else 0.0)
    return min(1.0, busy / elapsed) if elapsed > 0 else 0.0
