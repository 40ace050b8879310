"""A signal that raises at any line of the stream: nothing hangs, no row is lost, no thread is left.

An exception that Python's tracing raises stands for that of a signal's handler: it comes between
two lines in the same way, and at each of them in turn. Python's own start of a thread is left out.
"""

import copy
import itertools
import pickle
import signal
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.prefetch import Prefetcher
from pipeline.stream import RowStream
from pipeline.supply import BatchSupply
from schemas.errors import UserError
from tests.streams import read, write_contents

FILES = "pipeline/stream.py", "pipeline/supply.py", "pipeline/prefetch.py"
BATCH_ROWS = 4


class SignalError(BaseException):
    """What the handler raises."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_contents(tmp_path_factory.mktemp("interrupts"))[0]


class Interruption:
    """Within `here()`, an exception at event `number` (a call, a line or a return) of the files."""

    def __init__(self, number):
        self.is_over, self._number, self._events = False, number, itertools.count()

    @contextmanager
    def here(self):
        try:
            sys.settrace(self._trace)
            yield
        except SignalError:
            pass
        finally:
            sys.settrace(None)

    def _trace(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith(FILES):
            return None
        if event != "exception" and next(self._events) == self._number:
            self.is_over = True
            raise SignalError
        return self._trace


def interruptions(at_least=11):
    """One for each event in turn, and one at the end that never comes."""
    for number in itertools.count():
        one = Interruption(number)
        yield one
        assert prefetch_threads() == []
        if not one.is_over:
            break
    assert number >= at_least


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name == "blankstream-prefetch"]


def opened(path):
    return RowStream(path, batch_rows=BATCH_ROWS)


@pytest.mark.parametrize("batches_before", [0, 1])
def test_an_interrupted_stream_goes_on_behind_its_state(path, batches_before):
    expected = read(path, 30, batch_rows=BATCH_ROWS)
    for interruption in interruptions(at_least=31):
        with opened(path) as stream:
            for _ in range(batches_before):
                next(stream)
            with interruption.here():
                for _ in range(3):
                    next(stream)
            for _ in range(4):
                consumed = stream.state()["consumed_rows"]
                batch = next(stream)
                assert batch.consumed_rows == consumed + BATCH_ROWS
                assert np.array_equal(batch.rows, expected[consumed // BATCH_ROWS].rows)


def look(stream):
    stream.rows_at(0, 3)


def load(stream):
    stream.load_state_dict(stream.state())


@pytest.mark.parametrize("act", [look, load])
@pytest.mark.parametrize("batches_before", [0, 1, 2, 5])
def test_what_makes_a_stream_begin_anew_may_be_interrupted(path, act, batches_before):
    """After one batch nothing is ready, after two something is: the first gathers are short."""
    expected = read(path, 12, batch_rows=BATCH_ROWS)
    for interruption in interruptions():
        with opened(path) as stream:
            for _ in range(batches_before):
                next(stream)
            with interruption.here():
                act(stream)
            for place in range(batches_before, batches_before + 4):
                assert stream.state()["consumed_rows"] == place * BATCH_ROWS
                assert np.array_equal(next(stream).rows, expected[place].rows)


def test_another_history_is_taken_up_whole_or_not_at_all(path):
    """Of the same data set, seven rows on, in another order."""
    with RowStream(path, batch_rows=BATCH_ROWS, seed=5, consumed_rows=7) as stream:
        other = stream.state()
    for interruption in interruptions():
        with RowStream(path, batch_rows=BATCH_ROWS, replay=True) as stream:
            for _ in range(2):
                next(stream)
            with interruption.here():
                stream.load_state_dict(other)
            state = stream.state()
            rows = next(stream).rows
        with RowStream(path, batch_rows=BATCH_ROWS, state=state, replay=True) as stream:
            assert np.array_equal(next(stream).rows, rows)
        assert state == other or interruption.is_over


@pytest.mark.parametrize("end", [RowStream.close, lambda stream: stream.rows_at(0, 3)])
def test_an_interrupted_end_is_ended_by_the_next_call(path, end):
    for interruption in interruptions():
        stream = opened(path)
        next(stream)
        with interruption.here():
            end(stream)
        stream.close()
        with pytest.raises(UserError, match="closed"):
            next(stream)


class SlowSource:
    """One gather, then a wait."""

    def __init__(self):
        self.goes_on, self.is_at_work = threading.Event(), False

    def gathered(self, start):
        yield [SimpleNamespace(consumed_rows=1)]
        self.is_at_work = True
        self.goes_on.wait()
        self.is_at_work = False


def test_an_end_that_returns_has_ended_the_thread_however_often_it_was_interrupted():
    """What comes behind it is the end of the files that the thread reads."""

    def handle(*_):
        raise SignalError

    source = SlowSource()
    supply = BatchSupply([])
    supply.behind(source, 0)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(SignalError):
                supply.close()
            assert prefetch_threads()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    threading.Timer(0.1, source.goes_on.set).start()
    supply.close()
    assert not source.is_at_work
    assert prefetch_threads() == []


def test_a_thread_that_begins_after_its_end_was_asked_for_does_nothing():
    made = []
    prefetcher = Prefetcher(iter(made.append, 0), 1)
    prefetcher.close()
    prefetcher._channel.run(iter(made.append, 0))
    assert made == []


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("batches", [0, 1])
def test_a_stream_is_not_copied(path, copied, batches):
    with opened(path) as stream:
        for _ in range(batches):
            next(stream)
        stream.load_state_dict(stream.state())
        with pytest.raises(UserError, match=r"neither copied .* give stream\.state\(\)"):
            copied(stream)
