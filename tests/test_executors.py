"""Executors: results and errors come back from anywhere, and a death names the task that died."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from jobs.executors import worker_process
from jobs.executors.calls import portable
from jobs.executors.choice import (
    admitted_workers,
    default_executor,
    open_executor,
)
from jobs.executors.executor import EXECUTORS, Executor, ExecutorOptions, Outcome
from jobs.executors.processes import ProcessExecutor
from schemas.errors import BlankstreamError, DatasetError, UserError
from tests.fake_tasks import (
    Noted,
    pid,
    raise_foreign,
    raise_it,
    sleep_then_pid,
    thread_limits,
    unsendable,
)
from tests.fake_work import die

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 60.0


def exit_at_once(pipe: object) -> None:
    sys.exit(3)


def collect(executor: Executor, count: int) -> dict[int, Outcome]:
    """The next `count` outcomes, by task."""
    outcomes: dict[int, Outcome] = {}
    deadline = time.monotonic() + SECONDS
    while len(outcomes) < count and time.monotonic() < deadline:
        outcomes |= {outcome.task: outcome for outcome in executor.wait(1.0)}
    return outcomes


def is_gone(worker: str) -> bool:
    """Whether the process `pid N` ended; one that nobody has waited for counts as ended."""
    try:
        status = Path(f"/proc/{worker.split()[-1]}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


REMOTE = ["processes", pytest.param("ray", marks=pytest.mark.ray)]
on_remote_executors = pytest.mark.parametrize("executor", REMOTE, indirect=True)


@pytest.fixture(scope="module", params=["serial", *REMOTE])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with open_executor(ExecutorOptions(request.param, 2)) as opened:
        yield opened


def test_every_task_comes_back_once_with_its_result(executor: Executor) -> None:
    for task in range(10):
        executor.submit(task, sorted, [task, -task])
    outcomes = collect(executor, 10)
    assert {task: one.result for task, one in outcomes.items()} == {
        task: sorted([task, -task]) for task in range(10)
    }
    assert all(one.error is None and not one.death for one in outcomes.values())
    assert executor.wait(0) == []


def test_an_outcome_names_its_worker_and_how_long_it_took(executor: Executor) -> None:
    executor.submit(1, sleep_then_pid, 0.2)
    outcome = collect(executor, 1)[1]
    assert outcome.worker.endswith(f"pid {outcome.result}")
    assert 0.2 <= outcome.seconds < 5


@pytest.mark.parametrize(
    "error",
    [DatasetError("plan.json: no"), MemoryError(), OSError(28, "full", "a.arrow"), KeyError("x")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_ours_or_of_the_language_comes_back_as_it_is(
    executor: Executor, error: BaseException
) -> None:
    executor.submit(1, raise_it, error)
    found = collect(executor, 1)[1].error
    assert type(found) is type(error)
    assert str(found) == str(error)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("foreign", RuntimeError("tests.fake_tasks.ForeignError: there 7")),
        ("disk", OSError(110, "tests.fake_tasks.ForeignDiskError: [Errno 110] no answer")),
        ("panic", RuntimeError("tests.fake_tasks.PanicError: index out of bounds")),
    ],
)
def test_an_error_of_a_library_keeps_its_kind_and_text(
    executor: Executor, kind: str, expected: Exception
) -> None:
    executor.submit(1, raise_foreign, kind)
    found = collect(executor, 1)[1].error
    assert found is not None
    assert repr(portable(found)) == repr(expected)


@pytest.mark.fault
@on_remote_executors
def test_a_worker_that_dies_is_an_outcome_and_others_go_on(executor: Executor) -> None:
    executor.submit(0, die)
    for task in range(1, 5):
        executor.submit(task, pid, task)
    outcomes = collect(executor, 5)
    assert [task for task, one in outcomes.items() if one.death] == [0]
    assert outcomes[0].result is None
    assert all(outcomes[task].result for task in range(1, 5))


@on_remote_executors
def test_what_tasks_share_is_sent_once_to_each_worker(executor: Executor, tmp_path: Path) -> None:
    shared = Noted(tmp_path / "sent")
    for task in range(6):
        executor.submit(task, pid, shared)
    assert len(collect(executor, 6)) == 6
    assert len(shared.file.read_text().split()) <= executor.workers


@on_remote_executors
def test_a_result_that_cannot_be_sent_is_an_error(executor: Executor) -> None:
    executor.submit(1, unsendable, 0)
    outcome = collect(executor, 1)[1]
    assert outcome.error is not None or callable(outcome.result)  # Ray can send more


@on_remote_executors
def test_a_worker_uses_one_thread(executor: Executor) -> None:
    executor.submit(1, thread_limits, 0)
    assert collect(executor, 1)[1].result == (1, "1")


@on_remote_executors
def test_a_function_that_is_not_installed_there_is_a_clear_error(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("only_in_this_process")
    exec("def work(number): return number", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    executor.submit(1, module.work, 5)
    assert "only_in_this_process" in str(collect(executor, 1)[1].error)


def test_slots_keep_every_worker_busy(executor: Executor) -> None:
    assert executor.slots in (1, 2 * executor.workers)


@pytest.fixture
def processes() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2)
    try:
        yield executor
    finally:
        executor.close()


@pytest.mark.fault
def test_what_waits_behind_a_death_is_not_blamed(processes: ProcessExecutor) -> None:
    for task in range(2):
        processes.submit(task, die)
    for task in range(2, 4):
        processes.submit(task, pid, task)
    outcomes = collect(processes, 4)
    assert [outcomes[task].death for task in range(4)] == ["killed by SIGKILL"] * 2 + [""] * 2


def test_running_names_the_oldest_task_of_each_worker(processes: ProcessExecutor) -> None:
    for task in range(4):
        processes.submit(task, sleep_then_pid, 0.3)
    assert sorted(processes.running().values()) == [0, 1]
    collect(processes, 4)
    assert processes.running() == {}


def test_closing_does_not_wait_for_tasks_and_leaves_no_process(processes: ProcessExecutor) -> None:
    for task in range(2):
        processes.submit(task, pid, task)
    workers = [outcome.worker for outcome in collect(processes, 2).values()]
    for task in range(4):
        processes.submit(task, sleep_then_pid, SECONDS)
    started = time.monotonic()
    processes.close()
    assert time.monotonic() - started < 3
    assert all(map(is_gone, workers))


def test_workers_leave_ctrl_c_to_the_driver(processes: ProcessExecutor) -> None:
    processes.submit(0, pid, 0)
    worker = collect(processes, 1)[0].result
    os.kill(worker, signal.SIGINT)
    processes.submit(1, pid, 0)
    assert collect(processes, 1)[1].result == worker


def test_an_idle_worker_that_is_killed_is_replaced(processes: ProcessExecutor) -> None:
    processes.submit(0, pid, 0)
    worker = collect(processes, 1)[0].result
    os.kill(worker, signal.SIGKILL)
    assert processes.wait(0.3) == []
    processes.submit(1, pid, 0)
    assert collect(processes, 1)[1].result not in (worker, None)


def test_a_worker_that_cannot_start_is_an_error(
    processes: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "serve", exit_at_once)
    processes.submit(0, pid, 0)
    with pytest.raises(BlankstreamError, match=r"ended 3 times .* \(exit status 3\)"):
        processes.wait(SECONDS)


DRIVER = """
from jobs.executors.processes import ProcessExecutor
from tests.fake_tasks import pid, sleep_then_pid
from tests.test_executors import collect
if __name__ == "__main__":
    executor = ProcessExecutor(2)
    executor.submit(0, pid, 0); executor.submit(1, pid, 0)
    print(*(one.worker for one in collect(executor, 2).values()), sep=",", flush=True)
    executor.submit(2, sleep_then_pid, 60.0); executor.submit(3, sleep_then_pid, 60.0)
    executor.wait(60)
"""


@pytest.mark.fault
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_driver(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert driver.stdout
    workers = driver.stdout.readline().strip().split(",")
    time.sleep(0.3)
    driver.send_signal(how)
    assert driver.wait(20) != 0
    driver.stdout.close()
    deadline = time.monotonic() + 5
    while not all(map(is_gone, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    assert all(map(is_gone, workers))


def test_ray_is_the_default_where_it_is_installed_or_a_cluster_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert default_executor() == "ray"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert default_executor() == "processes"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert default_executor() == "ray"


def test_an_unknown_executor_is_an_error_that_lists_them() -> None:
    with (
        pytest.raises(UserError, match="'dask' is unknown; choose from serial, processes, ray"),
        open_executor(ExecutorOptions("dask", 1)),
    ):
        pass
    assert EXECUTORS == ("serial", "processes", "ray")


@pytest.mark.parametrize(
    ("memory", "available", "expected"),
    [(0, 1, 4), (10, None, 4), (10, 100, 4), (10, 40, 4), (10, 39, 3), (10, 5, 1)],
)
def test_as_many_workers_run_as_have_memory_and_at_least_one(
    memory: int, available: int | None, expected: int
) -> None:
    options = ExecutorOptions("processes", 4, memory_bytes=memory)
    assert admitted_workers(options, available) == expected
    assert bool(options.notes) == (expected < 4)


def test_fewer_workers_for_lack_of_memory_are_explained() -> None:
    options = ExecutorOptions("processes", 4, memory_bytes=3 * 10**9)
    admitted_workers(options, 7 * 10**9)
    note = "2 of 4 workers: each may need 3.0 GB of the 7.0 GB of memory that are free"
    assert options.notes == [note]
