"""Servers of inputs that fail now and then, or give less than they said."""

import functools
import http.server
import io
import os
import threading
import uuid
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs import cut_ranges
from pipeline.readers import remote_calls
from pipeline.readers.remote import opened
from pipeline.readers.remote_stream import RangeStream
from pipeline.stores.retries import Retries
from schemas.build_config import BuildConfig
from schemas.errors import StorageError
from tests.text_inputs import jsonl

SMALL = BuildConfig(item_bytes=1024)
CONTENT = os.urandom(5 * 2**20)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are tried again, but not for a minute."""
    monkeypatch.setattr(remote_calls, "RETRIES", Retries(4, 5.0, 0.01, 0.05))


places = st.integers(-(2**20), 2 * len(CONTENT))


@given(st.lists(st.tuples(places, st.integers(0, 2), st.integers(0, 2**21)), max_size=6))
def test_a_stream_of_ranges_reads_as_a_file_does(steps: list[tuple[int, int, int]]) -> None:
    stream, file = RangeStream(len(CONTENT), lambda a, b: CONTENT[a:b]), io.BytesIO(CONTENT)
    for offset, whence, size in steps:
        at = max(0, offset + (0, file.tell(), len(CONTENT))[whence])
        assert stream.seek(offset, whence) == file.seek(at) == at
        assert stream.read(size) == file.read(size)


def test_a_range_that_comes_back_short_is_asked_for_again_and_is_never_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory, name = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}/x"
    whole, asked = type(memory).cat_file, []

    def short(self: object, path: str, start: int, end: int) -> bytes:
        asked.append((start, end))
        content: bytes = whole(self, path, start=start, end=end)
        return content[: -1 if len(asked) % 3 else None]

    content = CONTENT[: 3 * 2**20]
    memory.pipe(name, content)
    monkeypatch.setattr(type(memory), "cat_file", short)
    with opened(f"memory:/{name}") as (stream, size):
        found = [stream.read(700_001) for _ in range(6)]
    assert (b"".join(found), size) == (content, len(content))
    first, second = (0, 2**20), (2**20, 3 * 2**20)
    assert asked == [first] * 3 + [second] * 3
    monkeypatch.setattr(type(memory), "cat_file", lambda *_, **__: b"")
    message = r"/x: could not be read in 4 tries .* ShortBodyError: 0 bytes instead of 1048576"
    with opened(f"memory:/{name}") as (stream, _), pytest.raises(StorageError, match=message):
        stream.read(1)


class _Failing(http.server.SimpleHTTPRequestHandler):
    """Answers every other request, the others with what a server says that has too much to do."""

    answers = 0

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def send_head(self) -> io.BytesIO | None:  # type: ignore[override]
        """As of the class above, or 503."""
        type(self).answers += 1
        if self.answers % 2:
            self.send_error(503)
            return None
        return super().send_head()  # type: ignore[return-value]


def test_a_web_server_that_has_too_much_to_do_is_asked_again(tmp_path: Path) -> None:
    rows = [{"text": f"text {number}"} for number in range(100)]
    (tmp_path / "x.jsonl").write_bytes(jsonl(rows))
    handler = functools.partial(_Failing, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/x.jsonl"
        assert cut_ranges("x.jsonl", url, SMALL) == cut_ranges(
            "x.jsonl", tmp_path / "x.jsonl", SMALL
        )
        server.shutdown()
    assert _Failing.answers >= 4
