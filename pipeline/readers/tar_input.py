"""Text inside WebDataset tars -> documents.

A member's key is its name up to the first dot of its last part; consecutive members of one key are
a sample. `KEY.json` beside `KEY.txt` says things about that text and is no document; every other
text or JSON member is read by itself.
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
    """Consecutive members of one key; its `KEY.json` waits until no `KEY.txt` can follow.

    No other member waits, and never more than one.
    """

    def __init__(self, maker: DocumentMaker, key: str = "") -> None:
        self.key, self._maker = key, maker
        self._waiting: tuple[TarMember, bytes] | None = None
        self._has_text = False

    def add(self, member: TarMember) -> Iterator[Read]:
        """Documents of a member that need not wait, and of the one that waited."""
        kind = _KINDS.get("." + member.name.rpartition(".")[2].lower())
        if not member.is_file or kind is None:
            self._maker.tally[TAR_OTHER] += 1
            return
        is_unsafe_name, suffix = is_unsafe(member.name), member.name[len(self.key) :].lower()
        if suffix == ".json" and self._has_text and not is_unsafe_name:
            self._maker.tally[TAR_METADATA] += 1
            return
        if suffix == ".txt" and not is_unsafe_name:
            self._take_text()
        yield from self.finish()
        size = member.stop - member.start
        if is_unsafe_name:
            why = UnusableInput("unsafe_name", f"a tar member called {member.name[:200]!r}")
            yield self._maker.bad((member.start, member.stop), b"", why)
        elif suffix == ".json" and size <= MAX_DOCUMENT_BYTES:
            self._waiting = (member, member.data.read(size))
        else:
            yield from _documents(member, kind, member.data, self._maker)

    def _take_text(self) -> None:
        """The text stands for the sample, so that JSON of its name is metadata."""
        if self._waiting is not None:
            self._maker.tally[TAR_METADATA] += 1
        self._waiting, self._has_text = None, True

    def finish(self) -> Iterator[Read]:
        """Documents of the JSON member that waited."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            yield from _documents(waiting[0], JSON, io.BytesIO(waiting[1]), self._maker)


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
