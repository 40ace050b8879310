"""Temporary folders that go even when a signal comes while they are being deleted.

Stands beside `storage.py`, below everything that needs room on a local disk for a while.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def temporary_folder() -> Iterator[str]:
    """Path of a new, empty folder that goes with the context, whatever is left of it then.

    What `tempfile.TemporaryDirectory` has begun to delete stays when its deletion is interrupted.
    """
    name = tempfile.mkdtemp(prefix="blankstream-")
    try:
        yield name
    finally:
        try:
            shutil.rmtree(name)
        except FileNotFoundError:  # somebody else deletes there too
            shutil.rmtree(name, ignore_errors=True)
        except KeyboardInterrupt:
            shutil.rmtree(name, ignore_errors=True)
            raise
