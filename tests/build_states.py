"""States of a build as values, for the tests of what shows them."""

from jobs.progress.build_speed import BuildSpeed
from jobs.progress.build_state import BuildState, WorkerState
from schemas.record import ItemResult

STARTED = 1000.0


def item(number: int, rows: int = 100, size: int = 1000) -> ItemResult:
    """What a worker reports of an item that took 10 seconds, half of them for tokens."""
    seconds = {"check": 0.5, "read": 1.0, "tokens": 5.0, "rows": 3.5}
    return ItemResult(f"item-{number}", rows, 10, size, 2 * size, number % 2, seconds)


def state_of(total: int = 100, done: int = 10, workers: int = 2, before: int = 0) -> BuildState:
    """A build of items of 1,000 bytes that began at `STARTED`, with all its workers at work."""
    state = BuildState(
        total=total,
        before=before,
        total_source_bytes=1000 * total,
        executor="processes",
        num_workers=workers,
        started=STARTED,
    )
    for number in range(done):
        state.add(item(number))
    for number in range(workers):
        name = f"pid {4711 + number}"
        state.workers[name] = WorkerState(
            name, f"pass-0000/{number}", STARTED + number, 5, 500, 40.0 + number
        )
    return state


def watched(done: int = 10, workers: int = 2, before: int = 0) -> tuple[BuildState, BuildSpeed]:
    """As `state_of` of 100 items, and its speed, looked at from `STARTED` on."""
    state = state_of(done=0, workers=workers, before=before)
    speed = BuildSpeed(state, STARTED)
    for number in range(done):
        state.add(item(number))
    return state, speed
