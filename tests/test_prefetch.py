"""What a prefetch thread made and nobody took is freed at once: gathers are large."""

import gc
import threading
import time
import weakref

import pytest

from pipeline.prefetch import Prefetcher
from schemas.errors import StorageError
from tests.cached_files import wait_until

DEPTH = 2


class Item:
    """Something that can be seen to be freed."""


@pytest.fixture
def made():
    """Weak references to what `items` made, with no garbage collector to free it later."""
    gc.disable()
    yield []
    gc.enable()


def items(made, count):
    """`count` items, then the end."""
    for _ in range(count):
        item = Item()
        made.append(weakref.ref(item))
        yield item
        del item


def is_any_left(made):
    return any(reference() is not None for reference in made)


@pytest.mark.parametrize("count", [100, DEPTH])
@pytest.mark.parametrize("is_closed", [True, False])
def test_what_was_made_ahead_is_freed_with_its_prefetcher(made, count, is_closed):
    """Also where the iterator has come to its end behind it."""
    prefetcher = Prefetcher(items(made, count), DEPTH)
    prefetcher.get()
    wait_until(lambda: len(made) == min(count, 1 + DEPTH))
    if is_closed:
        prefetcher.close()
        assert not is_any_left(made)
    else:
        del prefetcher
        wait_until(lambda: not is_any_left(made))


def test_an_item_in_the_making_is_freed_too(made):
    """It comes into the queue when that was emptied before."""
    prefetcher = Prefetcher(slow(made), DEPTH)
    prefetcher.get()
    wait_until(lambda: len(made) == 2)
    prefetcher.close()
    assert not is_any_left(made)


def slow(made):
    for item in items(made, 3):
        if len(made) > 1:
            time.sleep(0.2)
        yield item
        del item


def test_an_error_behind_the_end_reaches_who_waits_for_an_item():
    """What `stop` interrupts raises; another thread may be waiting for what it made."""
    is_interrupted = threading.Event()
    prefetcher = Prefetcher(interrupted(is_interrupted), DEPTH)
    seen = []
    consumer = threading.Thread(target=lambda: seen.append(error_of(prefetcher)), daemon=True)
    consumer.start()
    wait_until(lambda: prefetcher._thread.is_alive())
    threading.Timer(0.1, is_interrupted.set).start()
    prefetcher.close()
    consumer.join(5)
    assert [str(error) for error in seen] == ["interrupted"]


def interrupted(is_interrupted):
    is_interrupted.wait()
    raise StorageError("interrupted")
    yield


def error_of(prefetcher):
    with pytest.raises(StorageError) as caught:
        prefetcher.get()
    return caught.value
