"""What is known of workers: counted by name, and forgotten when they are many and gone."""

from jobs.executors.executor import Outcome
from jobs.progress.build_state import BuildState
from jobs.progress.worker_states import WorkerStates
from schemas.record import ItemResult

RESULT = ItemResult("pass-0000/00000", 7, 1, 1, 1, 0, {})


def test_tasks_are_counted_by_worker_and_only_builds_are_items() -> None:
    state = BuildState()
    states = WorkerStates(state)
    states.heard(Outcome(1, "pid 1", 2.0, RESULT))
    states.heard(Outcome(2, "pid 1", 1.5, None))
    states.heard(Outcome(3, "pid 2", death="killed by SIGKILL"))
    first, second = state.workers["pid 1"], state.workers["pid 2"]
    assert (first.items, first.rows, first.busy_seconds, first.deaths) == (1, 7, 3.5, 0)
    assert (second.items, second.deaths) == (0, 1)


def test_a_worker_without_a_name_is_not_counted() -> None:
    state = BuildState()
    WorkerStates(state).heard(Outcome(1, "", death="NodeDiedError"))
    assert state.workers == {}


def test_an_item_is_shown_from_when_it_was_begun_until_it_is_done() -> None:
    state = BuildState()
    states = WorkerStates(state)
    states.at_work({"pid 1": "a", "pid 2": "b"})
    begun = state.workers["pid 1"].since
    states.at_work({"pid 1": "a", "pid 2": "c"})
    assert state.workers["pid 1"].since == begun
    assert state.workers["pid 2"].since > begun
    states.at_work({"pid 1": "a"})
    assert [worker.item for worker in state.workers.values()] == ["a", ""]


def test_of_many_workers_the_idle_ones_heard_of_longest_ago_are_forgotten() -> None:
    state = BuildState()
    states = WorkerStates(state)
    for number in range(100):
        states.heard(Outcome(number, f"pid {number}", 1.0, RESULT))
    states.at_work({"pid 0": "a"})
    states.forget(1)
    assert len(state.workers) == 64
    assert "pid 0" in state.workers  # it is at work
    assert "pid 99" in state.workers
    assert "pid 1" not in state.workers
    states.forget(1000)
    assert len(state.workers) == 64
