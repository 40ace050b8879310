"""The first signal is an exception that says its name, a second one ends the process at once."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.signals import Interrupted, ending_signals, interruption

ROOT = Path(__file__).resolve().parents[1]
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

SCRIPT = """
import os, signal, sys, time
from jobs.signals import Interrupted, ending_signals
{before}
try:
    with ending_signals() as received:
        print("ready", flush=True)
        {body}
except Interrupted as error:
    print(error, received.status, flush=True)
    {after}
"""


def run(numbers: list[signal.Signals], body: str, before: str = "", after: str = "") -> list[str]:
    """What a script says that gets these signals 0.8 s apart; its last line is its exit status."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(body=body, before=before, after=after)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.8)
    said, _ = process.communicate(timeout=20)
    return [*said.splitlines(), str(process.returncode)]


CLEARS_UP = "try: time.sleep(20)\n        finally: time.sleep({seconds})"


@pytest.fixture(autouse=True)
def _handlers_of_a_new_process() -> Iterator[None]:
    """Whatever a library that was used before has left behind."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_is_an_exception_that_names_it(number: signal.Signals) -> None:
    told = f"interrupted ({number.name}) {128 + number}"
    assert run([number], "time.sleep(20)") == [told, "0"]


def test_a_second_signal_ends_the_command_at_once() -> None:
    both = [signal.SIGTERM, signal.SIGINT]
    assert run(both, CLEARS_UP.format(seconds=20)) == [str(-signal.SIGINT)]


def test_signals_of_the_same_moment_are_one_end() -> None:
    again = "try: time.sleep(20)\n        finally: os.kill(os.getpid(), signal.SIGTERM)"
    assert run([signal.SIGHUP], again) == ["interrupted (SIGHUP) 129", "0"]


def test_what_is_ignored_stays_ignored() -> None:
    before = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert run([signal.SIGHUP], "time.sleep(1.2)\n        print('well')", before) == ["well", "0"]


def test_a_process_that_was_forked_off_ends_by_the_signal() -> None:
    body = (
        "child = os.fork()\n        child or time.sleep(20)\n        time.sleep(0.3)\n"
        "        os.kill(child, signal.SIGTERM); print(os.waitpid(child, 0)[1])"
    )
    assert run([], body) == ["15", "0"]


def test_a_signal_in_the_middle_of_a_finalizer_is_not_lost() -> None:
    before = "class Slow:\n    def __del__(self): print('ready', flush=True); time.sleep(1)"
    assert run([signal.SIGTERM], "Slow(); time.sleep(20)", before)[-2:] == [
        "interrupted (SIGTERM) 143",
        "0",
    ]


def test_handlers_are_as_before_after_the_block_and_elsewhere() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with ending_signals() as received:
        assert all(signal.getsignal(number) for number in ENDING)
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in ENDING] == before
    assert (received.number, received.status) == (0, 130)
    thread = threading.Thread(target=lambda: ending_signals().__enter__())
    thread.start()
    thread.join()
    assert [signal.getsignal(number) for number in ENDING] == before


def test_an_interruption_that_a_library_made_anonymous_gets_its_name_back() -> None:
    anonymous = KeyboardInterrupt()
    assert interruption(anonymous) is anonymous
    with ending_signals():
        with pytest.raises(Interrupted, match=r"^interrupted \(SIGTERM\)$"):
            signal.raise_signal(signal.SIGTERM)
        assert str(interruption(anonymous)) == "interrupted (SIGTERM)"
