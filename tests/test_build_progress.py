"""What a person sees of a build: the picture, the lines, and a terminal left as it was."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs.progress import build_progress
from jobs.progress.build_lines import duration, end_line, progress_line, start_line
from jobs.progress.build_progress import BuildProgress
from jobs.progress.build_screen import BuildScreen, split_cells, stage_shares
from jobs.progress.build_speed import BuildSpeed, Pace
from jobs.progress.build_state import STAGES, BuildState
from tests.build_states import STARTED, item, state_of, watched

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def picture(state: BuildState, speed: BuildSpeed, width: int = 80, height: int = 24) -> list[str]:
    """Lines of the picture 100 seconds after the start."""
    console = Console(width=width, height=height, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(BuildScreen(state, speed, STARTED + 100), end="")
    return capture.get().splitlines()


def test_speed_is_that_of_the_last_half_minute() -> None:
    state = state_of(done=0, workers=1)
    speed = BuildSpeed(state, STARTED)
    for second in range(1, 101):
        count = 1 if second <= 50 else 3
        for number in range(count):
            state.add(item(number, rows=7))
        pace = speed.pace(STARTED + second)
        if second <= 30:
            assert pace == Pace(1.0, 7.0, 2000.0, 1000.0)
    assert pace == Pace(3.0, 21.0, 6000.0, 3000.0)


def test_large_items_lengthen_the_window_until_every_worker_could_finish_one() -> None:
    state = state_of(total=100, done=0, workers=4)
    speed = BuildSpeed(state, STARTED)
    paces = []
    for second in range(1, 601):
        if second % 60 == 0:
            for number in range(4):
                state.add(item(number))
        paces.append(speed.pace(STARTED + second).items)
    assert all(0.03 < pace < 0.14 for pace in paces[60:])


def test_time_left_is_reckoned_by_bytes_of_input_and_else_by_items() -> None:
    state = state_of(total=100, done=0, before=20)
    speed = BuildSpeed(state, STARTED)
    assert speed.seconds_left(STARTED + 1) is None
    for number in range(10):
        state.add(item(number, size=4000))
    assert speed.seconds_left(STARTED + 10) == pytest.approx((80_000 - 40_000) / 4000)
    state.total_source_bytes = 0
    assert speed.seconds_left(STARTED + 10) == pytest.approx(70)
    state.done = 80
    assert speed.seconds_left(STARTED + 10) == 0


def test_the_picture_shows_counts_speed_stages_troubles_and_workers() -> None:
    state, speed = watched()
    state.retries, state.excluded = 2, 1
    state.workers["pid 4712"].deaths = 1
    text = "\n".join(picture(state, speed, width=90))
    for shown in (
        "10 of 100 items  10%",
        "0:15:00 left",
        "0:01:40 elapsed",
        "10 rows/s",
        "1,000 rows",
        "2 retried",
        "5 bad input, in quarantine",
        "1 documents excluded",
    ):
        assert shown in text
    assert re.search(r"pid 4711 +5 +12 +100% +pass-0000/0 for 0:01:40 *\n", text)
    assert re.search(r"pid 4712 +5 +12 +100% +pass-0000/1 for 0:01:39; died once", text)
    assert " 4  tokens 50%" in text
    assert " 7  commit 0%" in text
    assert "4" * 38 in text


@given(
    width=st.integers(20, 240),
    height=st.integers(4, 60),
    workers=st.integers(0, 400),
    done=st.integers(0, 100),
)
def test_the_picture_fits_any_terminal(width: int, height: int, workers: int, done: int) -> None:
    lines = picture(*watched(done, workers), width, height)
    assert max(map(len, lines)) <= width
    if width >= 60 and height >= 10:
        assert len(lines) < height
        shown = sum(line.startswith("pid ") for line in lines)
        more = re.findall(r"and ([\d,]+) more", "\n".join(lines))
        assert shown + sum(int(number.replace(",", "")) for number in more) == workers
        assert not more or len(lines) == height - 1


def test_of_many_workers_those_longest_at_their_item_are_shown() -> None:
    state, speed = watched(workers=200)
    state.workers["pid 4800"].since = STARTED - 500
    lines = picture(state, speed)
    first = next(line for line in lines if line.startswith("pid "))
    assert first.startswith("pid 4800")


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=9), st.integers(1, 300))
def test_stretches_of_the_bar_are_within_one_cell_of_their_share(
    seconds: list[float], width: int
) -> None:
    total = sum(seconds) or 1.0
    shares = [one / total for one in seconds]
    cells = split_cells(shares, width)
    assert sum(cells) == width
    if sum(seconds):
        assert all(
            abs(cell - share * width) <= 1.01 for cell, share in zip(cells, shares, strict=True)
        )


def test_stages_stand_in_the_order_of_the_work() -> None:
    state = BuildState(stage_seconds={"upload": 1.0, "rows": 1.0, "read": 2.0})
    assert list(stage_shares(state)) == [*STAGES, "upload"]
    assert sum(stage_shares(state).values()) == pytest.approx(1)
    assert stage_shares(BuildState()) == {}


def test_names_of_workers_do_not_act_on_the_terminal() -> None:
    state, speed = watched()
    state.workers["pid 4711"].name = "[red]x\x1b[31m"
    assert "[red]x<U+001B>[31m" in "\n".join(picture(state, speed, width=120))


def test_lines_tell_where_a_build_is() -> None:
    state, speed = watched(before=30)
    assert start_line(state_of(done=0)) == "Building 100 work items"
    assert start_line(state_of(done=0, before=30)) == (
        "Building 70 work items (30 of 100 built before)"
    )
    assert start_line(state_of(done=0, before=100)) == "All 100 work items are built"
    assert progress_line(state, speed, STARTED + 100) == (
        "40 of 100 items (40%), 1,000 rows, 10 rows/s, 0.0 MB/s of text, 5 bad input, "
        "0:01:40 elapsed, 0:10:00 left"
    )
    assert end_line(state, STARTED + 100) == (
        "Built 10 items in 0:01:40, 60 not built, 1,000 rows, 10 rows/s, 5 bad input"
    )
    assert duration(3600 * 50 + 61.4) == "50:01:01"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notes of a build whose standard error is no terminal."""
    found: list[str] = []
    monkeypatch.setattr(build_progress, "note", found.append)
    monkeypatch.setattr(build_progress, "is_interactive", lambda: False)
    return found


def test_without_a_terminal_a_line_comes_every_five_seconds_and_later_every_thirty(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [STARTED]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    state, times = state_of(done=0), []
    with BuildProgress() as progress:
        progress.stage("Reading")
        progress.started(state)
        assert lines == ["Reading", "Building 100 work items"]
        while clock[0] < STARTED + 400:
            clock[0] += 0.25
            before = len(lines)
            progress.changed()
            times += [clock[0] - STARTED] * (len(lines) - before)
        state.add(item(0))
        progress.stage("Writing")
    assert times == [*range(5, 301, 5), 330, 360, 390]
    assert lines[-2].startswith("Built 1 items in 0:06:40, 99 not built")
    assert lines[-1] == "Writing"


def test_changed_costs_a_few_microseconds(lines: list[str]) -> None:
    with BuildProgress() as progress:
        progress.changed()
        progress.started(state_of())
        before = time.process_time()
        for _ in range(10_000):
            progress.changed()
        assert time.process_time() - before < 0.5


SCRIPT = """
import sys, time
from jobs.progress.build_progress import BuildProgress
from jobs.signals import ending_signals
from tests.build_states import state_of, item
print("before", file=sys.stderr, flush=True)
with ending_signals(), BuildProgress() as progress:
    progress.stage("Reading")
    time.sleep(0.4)
    state = state_of(done=3)
    state.started = time.monotonic() - 5
    progress.started(state)
    progress.note("a line that stays")
    for number in range(30):
        state.add(item(number))
        progress.changed()
        time.sleep(0.02)
    print("ready", flush=True)
    {end}
print("after", file=sys.stderr, flush=True)
"""


def run_on_terminal(end: str, number: signal.Signals | None = None) -> tuple[str, int]:
    """What a build that ends with `end`, or by a signal, writes to its terminal; exit status."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(end=end)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    assert process.stdout is not None
    while process.poll() is None or select.select([master], [], [], 0)[0]:
        if number and select.select([process.stdout], [], [], 0)[0]:
            process.stdout.read(1)
            process.send_signal(number)
            number = None
        if select.select([master], [], [], 0.05)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
    os.close(master)
    process.stdout.close()
    return shown.decode(), process.wait()


@pytest.mark.parametrize(
    ("end", "number", "status"),
    [
        ("pass", None, 0),
        ("raise ValueError('x')", None, 1),
        ("time.sleep(20)", signal.SIGINT, 1),
        ("time.sleep(20)", signal.SIGTERM, 1),
        ("time.sleep(20)", signal.SIGHUP, 1),
    ],
    ids=["well", "error", "interrupted", "terminated", "hung up"],
)
def test_the_terminal_is_as_before_however_a_build_ends(
    end: str, number: signal.Signals | None, status: int
) -> None:
    shown, found = run_on_terminal(end, number)
    assert found == status
    assert HIDE_CURSOR in shown
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR)
    assert "\x1b[?1049" not in shown
    assert "a line that stays" in shown
    assert "33 of 100 items" in shown or "of 100 items" in shown
    if status == 0:
        assert shown.endswith("after\r\n")
        assert "Built 33 items" in shown
        redraws = shown.count("rows/s  ")
        assert 1 <= redraws <= 12
