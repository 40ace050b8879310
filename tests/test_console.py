"""What is told reaches a person whatever their terminal can show."""

import io
import os
import subprocess
import sys

import pytest

from jobs.console import complain, say, show_all_characters


def terminal(encoding: str, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding, errors, write_through=True)


def shown(stream: io.TextIOWrapper) -> bytes:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


@pytest.mark.parametrize(
    ("encoding", "errors", "expected"),
    [
        ("ascii", "strict", b"a\\u4e2d"),
        ("latin-1", "surrogateescape", b"a\\u4e2d"),
        ("utf-8", "strict", "a\u4e2d".encode()),
        ("ascii", "replace", b"a?"),
    ],
)
def test_characters_without_bytes_are_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str, expected: bytes
) -> None:
    out, err = terminal(encoding, errors), terminal(encoding, errors)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    show_all_characters()
    say("a\u4e2d")
    complain("a\u4e2d")
    assert shown(out) == expected + b"\n"
    assert shown(err) == b"error: " + expected + b"\n"


def test_a_stream_that_cannot_be_changed_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    show_all_characters()
    say("\u4e2d")
    assert out.getvalue() == "\u4e2d\n"


def test_every_command_escapes_what_it_cannot_show() -> None:
    command = [sys.executable, "-m", "jobs", "build", "--print-config", "build.id_field=\u4e2d"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b'id_field = "\\u4e2d"' in ran.stdout
