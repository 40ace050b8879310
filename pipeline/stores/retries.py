"""Operations over a network: which failures pass, and how long they are tried again.

Stands below `objects.py` and the readers of inputs behind URLs. File systems have exceptions of
their own; what is known of them is in the tables here.
"""

import errno
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.stores.stopping import NEVER, Stop
from schemas.errors import BlankstreamError, StorageError

T = TypeVar("T")

_STATUS = {408, 409, 425, 429}
"""HTTP statuses below 500 that pass: a time limit, a conflict of two writers, throttling."""

_NOT_IMPLEMENTED = 501
_CODES = {
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "NoSuchUpload",  # the end of an upload in parts, sent again after a lost reply
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}
_CLASSES = {
    "ChunkedEncodingError",
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "FlexibleChecksumError",
    "HTTPClientError",
    "IncompleteRead",
    "IncompleteReadError",
    "ResponseParserError",
    "ServerDisconnectedError",
    "Timeout",
    "TransportError",
}
"""Names of exceptions of aiohttp, botocore, http.client and requests, and of classes above them."""

_NUMBERS = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
    errno.EREMOTEIO,
    errno.ESHUTDOWN,
}
_jitter = secrets.SystemRandom()


class ShortBodyError(Exception):
    """A server gave more or fewer bytes than the object has."""


def is_transient(error: BaseException) -> bool:
    """Whether the same operation may succeed when it is tried again.

    True for a status of 500 and above (but 501), throttling, time limits, broken connections and
    short bodies, also where they are the cause of what was raised. A host that does not exist, a
    missing object and a refused permission stay so; an error of ours is final.
    """
    chain = list(_causes(error))
    if isinstance(error, BlankstreamError):
        return False
    if any(isinstance(one, OSError) and one.errno == socket.EAI_NONAME for one in chain):
        return False
    return any(_is_transient(one) for one in chain)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, ShortBodyError | TimeoutError | ConnectionError):
        return True
    status, code = status_of(error)
    if status is not None or code is not None:
        is_servers = status is not None and status >= 500 and status != _NOT_IMPLEMENTED
        return is_servers or status in _STATUS or code in _CODES
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return True
    return not _CLASSES.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def status_of(error: BaseException) -> tuple[int | None, str | None]:
    """HTTP status and code of a server's answer, as far as an exception has them."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return _number(status), response.get("Error", {}).get("Code")
    found = (_number(getattr(error, name, None)) for name in ("status", "code", "status_code"))
    return next((status for status in found if status is not None), None), None


def _number(value: object) -> int | None:
    is_status = isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600
    return int(str(value)) if is_status else None


@dataclass(frozen=True)
class Retries:
    """How often an operation is tried, and until when another try may begin.

    Between tries is a random wait that doubles in the mean, so that many workers that failed at
    once do not come back at once. A try that has begun ends by the time limits of its sockets.
    """

    tries: int = 10
    seconds: float = 60.0
    first_wait_seconds: float = 0.2
    max_wait_seconds: float = 10.0

    def call(self, place: str, verb: str, action: Callable[[], T], stop: Stop = NEVER) -> T:
        """What `action` returns; it may run several times, and must be fit for that.

        `place` and `verb` ("read") are for the message. Raises `StorageError` when failures that
        may pass did not, and at once what else `action` raises; `StoppedError` between two tries
        when `stop` is set.
        """
        begun, tried = time.monotonic(), 0
        while True:
            try:
                return action()
            except Exception as error:
                if not is_transient(error):
                    raise
                tried += 1
                wait = self.wait_seconds(tried)
                elapsed = time.monotonic() - begun
                if tried >= self.tries or elapsed + wait > self.seconds:
                    raise _given_up(place, verb, f"{tried} tries in {elapsed:.0f} s", error) from (
                        error
                    )
            stop.pause(wait, place)

    def wait_seconds(self, tried: int) -> float:
        """How long to wait after `tried` failures; at random, so that no two wait alike."""
        longest = min(self.max_wait_seconds, self.first_wait_seconds * 2.0**tried)
        return _jitter.uniform(longest / 4, longest)


def _given_up(place: str, verb: str, effort: str, error: Exception) -> StorageError:
    seen = next(one for one in _causes(error) if _is_transient(one))
    return StorageError(
        f"{place}: could not be {verb} in {effort}, the last of which ended with {said(seen)}; "
        "see that the server is up and can be reached, and run the same command again"
    )


def said(error: BaseException) -> str:
    """Type and first line of an exception, for a message."""
    what = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {what[0][:300]}"
