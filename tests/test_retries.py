"""Which failures pass, and how long an operation is tried again."""

import errno
import http.client
import socket
import time
from typing import Any

import aiohttp
import botocore.exceptions
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pipeline.stores.retries import Retries, ShortBodyError, is_transient, said, status_of
from schemas.errors import StorageError

QUICK = Retries(tries=5, seconds=5.0, first_wait_seconds=0.001, max_wait_seconds=0.01)


def answer(status: int, code: str) -> Exception:
    """What botocore raises for an answer of this status."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(response, "PutObject")


def web_answer(status: int) -> Exception:
    request = aiohttp.RequestInfo(URL("http://host/x"), "GET", CIMultiDictProxy(CIMultiDict()))
    return aiohttp.ClientResponseError(request, (), status=status)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


PASSING = [
    answer(500, "InternalError"),
    answer(503, "SlowDown"),
    answer(400, "RequestTimeout"),
    answer(409, "ConditionalRequestConflict"),
    answer(404, "NoSuchUpload"),
    web_answer(429),
    web_answer(502),
    TimeoutError(),
    ConnectionResetError(),
    BrokenPipeError(),
    http.client.IncompleteRead(b""),
    ShortBodyError("1 byte instead of 2"),
    OSError(errno.EBUSY, "Please reduce your request rate"),
    botocore.exceptions.ReadTimeoutError(endpoint_url="http://host"),
    botocore.exceptions.EndpointConnectionError(endpoint_url="http://host"),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientPayloadError(),
    caused(FileNotFoundError("hidden by the file system"), web_answer(500)),
    caused(OSError(errno.EIO, "unknown code"), answer(429, "TooMany")),
]
STAYING = [
    answer(404, "NoSuchKey"),
    answer(403, "AccessDenied"),
    answer(412, "PreconditionFailed"),
    answer(501, "NotImplemented"),
    web_answer(404),
    FileNotFoundError(),
    PermissionError(),
    FileExistsError(),
    ImportError("s3fs"),
    ValueError("bad bucket name"),
    ZeroDivisionError(),
    botocore.exceptions.NoCredentialsError(),
    OSError(errno.ENOSPC, "No space left on device"),
    caused(FileNotFoundError(), answer(404, "404")),
    caused(StorageError("given up"), TimeoutError()),
    caused(aiohttp.ClientConnectionError(), socket.gaierror(socket.EAI_NONAME, "no such host")),
]


@pytest.mark.parametrize("error", PASSING, ids=said)
def test_failures_of_servers_and_networks_pass(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", STAYING, ids=said)
def test_what_no_other_try_helps_stays(error: Exception) -> None:
    assert not is_transient(error)


def test_a_status_is_found_where_a_library_keeps_it() -> None:
    assert status_of(answer(503, "SlowDown")) == (503, "SlowDown")
    assert status_of(web_answer(404)) == (404, None)
    assert status_of(OSError(errno.EBUSY, "busy")) == (None, None)


class Action:
    """Fails so many times, then gives its number of calls."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


@pytest.mark.parametrize("failures", [0, 1, 4])
def test_an_operation_is_tried_until_it_succeeds(failures: int) -> None:
    assert QUICK.call("s3://b/x", "read", Action(failures, TimeoutError())) == failures + 1


def test_the_last_try_ends_in_one_message_with_place_operation_and_failure() -> None:
    action = Action(9, ConnectionResetError("by peer\nsecond line"))
    message = (
        r"s3://b/x: could not be read in 5 tries in 0 s, the last of which ended with "
        r"ConnectionResetError: by peer; see that the server is up .*run the same command again$"
    )
    with pytest.raises(StorageError, match=message) as caught:
        QUICK.call("s3://b/x", "read", action)
    assert action.calls == 5
    assert caught.value.__cause__ is action.error


def test_the_message_names_what_a_file_system_hid() -> None:
    hidden = caused(FileNotFoundError("http://host/x"), ConnectionRefusedError("nobody there"))
    with pytest.raises(StorageError, match="ended with ConnectionRefusedError: nobody there"):
        QUICK.call("http://host/x", "read", Action(9, hidden))


@pytest.mark.parametrize("error", [FileNotFoundError("x"), PermissionError("x"), KeyError("x")])
def test_what_stays_is_raised_at_once_as_it_is(error: Exception) -> None:
    action = Action(1, error)
    with pytest.raises(type(error)):
        QUICK.call("s3://b/x", "read", action)
    assert action.calls == 1


def test_no_try_begins_after_the_time_is_over() -> None:
    action = Action(10**6, TimeoutError())
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"in \d+ tries in 0 s"):
        Retries(10**6, 0.3, 0.01, 0.05).call("s3://b/x", "written", action)
    assert time.monotonic() - begun < 3
    assert 2 <= action.calls <= 40
