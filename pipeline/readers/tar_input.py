"""Text inside WebDataset tars -> documents.

Members of one key (`a/0001.jpg`, `a/0001.txt`, `a/0001.json`) are one sample: its `.txt` is the
text, and a `.json` beside it says things about the sample and is no document.
"""

import io
from collections.abc import Iterator

from pipeline.readers.compression import ByteStream
from pipeline.readers.document_fields import DocumentMaker
from pipeline.readers.formats import JSON, JSONL, TEXT
from pipeline.readers.reads import (
    MAX_DOCUMENT_BYTES,
    TAR_METADATA,
    TAR_OTHER,
    Read,
    UnusableInput,
)
from pipeline.readers.tars import TarMember, is_unsafe, tar_members
from pipeline.readers.text_input import read_stream

_KINDS = {".txt": TEXT, ".json": JSON, ".jsonl": JSONL, ".ndjson": JSONL}


def read_tar(stream: ByteStream, maker: DocumentMaker) -> Iterator[Read]:
    """Documents of the members that hold text or JSON, in their order; the others are counted.

    Raises `UnusableInput` where damage begins.
    """
    sample = _Sample(maker)
    try:
        for member in tar_members(stream):
            if _key(member.name) != sample.key:
                yield from sample.finish()
                sample = _Sample(maker, _key(member.name))
            yield from sample.add(member)
    except UnusableInput:
        yield from sample.finish()
        raise
    yield from sample.finish()


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


class _Sample:
    """Consecutive members of one key; a JSON member waits until it is known to be alone."""

    def __init__(self, maker: DocumentMaker, key: str | None = None) -> None:
        self.key, self._maker = key, maker
        self._waiting: list[tuple[TarMember, bytes]] = []
        self._has_text = False

    def add(self, member: TarMember) -> Iterator[Read]:
        """Documents of a member that need not wait."""
        suffix = "." + member.name.rpartition(".")[2].lower()
        kind = _KINDS.get(suffix)
        if not member.is_file or kind is None:
            self._maker.tally[TAR_OTHER] += 1
        elif is_unsafe(member.name):
            why = UnusableInput("unsafe_name", f"a tar member called {member.name[:200]!r}")
            yield from self.finish()
            yield self._maker.bad((member.start, member.stop), b"", why)
        elif kind == JSON and self._has_text:
            self._maker.tally[TAR_METADATA] += 1
        elif kind == JSON and member.stop - member.start <= MAX_DOCUMENT_BYTES:
            size = member.stop - member.start
            self._waiting.append((member, member.data.read(size)))
        else:
            yield from self._text(member, kind)

    def _text(self, member: TarMember, kind: str) -> Iterator[Read]:
        if kind == TEXT:
            if self._waiting:
                self._maker.tally[TAR_METADATA] += len(self._waiting)
            self._waiting, self._has_text = [], True
        yield from self.finish()
        yield from _documents(member, kind, member.data, self._maker)

    def finish(self) -> Iterator[Read]:
        """Documents of the JSON members beside which no text stands."""
        for member, data in self._waiting:
            yield from _documents(member, JSON, io.BytesIO(data), self._maker)
        self._waiting = []


def _documents(
    member: TarMember, kind: str, data: ByteStream, maker: DocumentMaker
) -> Iterator[Read]:
    """Documents of one member; what is wrong inside of it ends the member, not the tar."""
    reached = member.start
    try:
        for read in read_stream(kind, data, member.start, maker):
            reached = read.stop
            yield read
    except UnusableInput as why:
        if why.reason.startswith("damaged_"):  # the tar's own stream, not the member
            raise
        detail = f"member {member.name[:200]!r}: {why.detail}"
        yield maker.bad((reached, reached), b"", UnusableInput(why.reason, detail))
