"""Tasks for tests of executors: in a module of their own, which workers of Ray can import."""

import os
import time
from pathlib import Path


class ForeignError(Exception):
    """As of a library: it needs two arguments, so that it cannot be rebuilt from its text."""

    def __init__(self, place: str, number: int) -> None:
        super().__init__(f"{place} {number}")


class ForeignDiskError(OSError):
    """As of a client library."""


class PanicError(BaseException):
    """As a panic of a library written in Rust reaches Python."""


class Noted:
    """Leaves a line in a file each time it is sent somewhere."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __getstate__(self) -> dict[str, Path]:
        with self.file.open("a") as file:
            file.write("sent\n")
        return self.__dict__


def pid(*_: object) -> int:
    return os.getpid()


def raise_it(error: BaseException) -> None:
    raise error


def raise_foreign(kind: str) -> None:
    errors = {
        "foreign": ForeignError("there", 7),
        "disk": ForeignDiskError(110, "no answer"),
        "panic": PanicError("index out of bounds"),
    }
    raise errors[kind]


def sleep_then_pid(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def unsendable(_: object) -> object:
    return lambda: None


def thread_limits(_: object) -> tuple[int, str]:
    import pyarrow as pa

    return pa.cpu_count(), os.environ["OMP_NUM_THREADS"]
