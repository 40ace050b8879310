"""An S3 server on loopback that fails as real ones do, by chance from a seed or by a script.

Shared by the tests of stores, of inputs behind URLs and of whole builds. Processes started inside
the context inherit the environment that leads s3fs to the server.
"""

import os
import socket
import struct
import threading
import time
import urllib.request
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import pytest

from tests.faults import WRONG, Faults

_CODES = {
    "error": ("500 Internal Server Error", "InternalError"),
    "throttle": ("503 Slow Down", "SlowDown"),
    "denied": ("403 Forbidden", "AccessDenied"),
}


class ObjectServer:
    """A WSGI application around moto's; `faults` may be exchanged at any time.

    The next `mute_requests` that ask whether to send a body are left without an answer. `gets`
    counts the requests for the content of each `/bucket/key`.
    """

    def __init__(self, application: Any) -> None:
        self.endpoint, self.environment = "", dict[str, str]()
        self.faults: Faults | None = None
        self.gets = Counter[str]()
        self.requests, self.mute_requests, self.mute_seconds = 0, 0, 3.0
        self._application, self._lock = application, threading.Lock()

    @contextmanager
    def failing(self, faults: Faults) -> Iterator[Faults]:
        """The server with other faults."""
        before, self.faults = self.faults, faults
        try:
            yield faults
        finally:
            self.faults = before

    def put(self, path: str, content: bytes = b"") -> None:
        """Make `/bucket`, or put `/bucket/key` behind everybody's back, without faults."""
        kind = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.endpoint + path, content, kind, method="PUT")
        before, self.faults = self.faults, None
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
        self.faults = before

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, or fail to."""
        with self._lock:
            self.requests += 1
            self.gets[environ["PATH_INFO"]] += environ["REQUEST_METHOD"] == "GET"
            faults = self.faults
            fault = faults.drawn() if faults else None
        if faults is None or fault is None:
            return self._sent(start_response, *self._answer(environ))
        if fault in ("short", "cut", WRONG):
            return self._altered(environ, start_response, faults, fault)
        faults.injected[fault] += 1
        if fault in _CODES:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self._refused(environ, start_response, *_CODES[fault])
        answer = self._answer(environ) if fault != "reset" else None
        if fault != "sleep" or answer is None:
            return _reset(environ)
        time.sleep(faults.sleep_seconds)
        return self._sent(start_response, *answer)

    def _answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        from werkzeug.test import run_wsgi_app

        # One at a time: moto looks and then puts, where a real server does both at once.
        with self._lock:
            pieces, status, headers = run_wsgi_app(self._application, environ, buffered=True)
            return status, list(headers), b"".join(pieces)

    @staticmethod
    def _sent(start: Any, status: str, headers: list[tuple[str, str]], body: bytes) -> list[bytes]:
        start(status, headers)
        return [body]

    def _refused(self, environ: dict[str, Any], start: Any, status: str, code: str) -> list[bytes]:
        body = f"<Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else body
        return self._sent(start, status, [("Content-Length", str(len(body)))], body)

    def _altered(
        self, environ: dict[str, Any], start: Any, faults: Faults, fault: str
    ) -> Iterable[bytes]:
        status, headers, body = self._answer(environ)
        if environ["REQUEST_METHOD"] != "GET" or len(body) < 2:
            return self._sent(start, status, headers, body)
        if fault == WRONG and "xml" in dict(headers).get("Content-Type", ""):
            return self._sent(start, status, headers, body)
        faults.injected[fault] += 1
        if fault == WRONG:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
            return self._sent(start, status, headers, body)
        half = body[: len(body) // 2]
        length = len(half if fault == "short" else body)
        kept = [pair for pair in headers if pair[0].lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(length))])
        return [half] if fault == "short" else _ended(half, environ)


def _ended(body: bytes, environ: dict[str, Any]) -> Iterator[bytes]:
    yield body
    yield from _reset(environ)


def _reset(environ: dict[str, Any]) -> list[bytes]:
    connection = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)  # no further request is waited for
    raise ConnectionResetError("on purpose")


@contextmanager
def object_server(faults: Faults | None = None) -> Iterator[ObjectServer]:
    """A server without buckets, and the environment that leads s3fs to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            """Nothing."""

        def run_wsgi(self) -> None:
            """Say nothing to one who asks whether to send a body, as often as told."""
            if "Expect" in self.headers and server.mute_requests:
                server.mute_requests -= 1
                time.sleep(server.mute_seconds)
                self.close_connection = True
            else:
                super().run_wsgi()

    server = ObjectServer(DomainDispatcherApplication(create_backend_app))
    served = make_server("127.0.0.1", 0, server, threaded=True, request_handler=Quiet)
    server.endpoint = f"http://127.0.0.1:{served.server_port}"
    threading.Thread(target=served.serve_forever, daemon=True).start()
    server.environment = _environment(server.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        _forget()
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            urllib.request.Request(f"{server.endpoint}/moto-api/reset", b"", method="POST")
        ).close()
        server.faults = faults
        try:
            yield server
        finally:
            server.faults = None
            _forget()
            served.shutdown()
            served.server_close()


def _environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
    }


def _forget() -> None:
    """Drop file systems that were opened with another environment."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
