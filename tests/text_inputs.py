"""The same documents in every format that can be read, as the bytes of a file."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from pipeline.documents import read_documents
from pipeline.inputs import cut_ranges
from pipeline.readers.reads import Read, Tally
from schemas.build_config import BuildConfig
from schemas.plan import SourceRange

Rows = Sequence[dict[str, Any]]


def read_ranges(file: Path, config: BuildConfig) -> tuple[list[SourceRange], list[Read]]:
    """The ranges of a file, and what they give one after another."""
    _, ranges = cut_ranges(file.name, file, config)
    return ranges, [read for part in ranges for read in read_documents(file, part, config)]


def put(folder: Path, names: str, content: bytes = b'{"text": "x"}\n') -> None:
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(
    file: Path, content: bytes, config: BuildConfig | None = None, tally: Tally | None = None
) -> list[Read]:
    """Everything in a file of these bytes, read as one range."""
    file.write_bytes(content)
    source = SourceRange(file.name, 0, len(content), "")
    return list(read_documents(file, source, config or BuildConfig(), tally))


def jsonl(rows: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def json_array(rows: Rows) -> bytes:
    return json.dumps(list(rows), ensure_ascii=False, indent=1).encode()


def lines(rows: Rows) -> bytes:
    return "".join(row["text"] + "\n" for row in rows).encode()


def paragraphs(rows: Rows) -> bytes:
    return "\n\n".join(row["text"] for row in rows).encode()


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def parquet_bytes(rows: Rows, row_group_size: int = 8, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(
        pa.Table.from_pylist(list(rows)), sink, row_group_size=row_group_size, **options
    )
    return sink.getvalue()


def arrow(rows: Rows, opener: Callable[..., Any] = pa.ipc.new_file, batch_rows: int = 8) -> bytes:
    table = pa.Table.from_pylist(list(rows))
    sink = io.BytesIO()
    with opener(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return sink.getvalue()


def arrow_stream(rows: Rows) -> bytes:
    return arrow(rows, pa.ipc.new_stream)


def tar(members: Sequence[tuple[str, bytes]], **options: Any) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", **options) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def gzip_tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    return gzip.compress(tar(members), mtime=0)


def webdataset(rows: Rows) -> bytes:
    members = []
    for number, row in enumerate(rows):
        members.append((f"{number:04d}.jpg", bytes(range(40))))
        members.append((f"{number:04d}.txt", row["text"].encode()))
    return tar(members)


FORMATS: dict[str, tuple[Callable[[Rows], bytes], dict[str, Any]]] = {
    "x.jsonl": (jsonl, {}),
    "x.json": (json_array, {}),
    "file.txt": (lines, {"text_unit": "file"}),
    "line.txt": (lines, {"text_unit": "line"}),
    "paragraph.txt": (paragraphs, {"text_unit": "paragraph"}),
    "x.jsonl.gz": (lambda rows: gzip.compress(jsonl(rows), mtime=0), {}),
    "x.jsonl.zst": (lambda rows: zstandard(jsonl(rows)), {}),
    "x.jsonl.bz2": (lambda rows: bz2.compress(jsonl(rows)), {}),
    "x.txt.xz": (lambda rows: lzma.compress(lines(rows)), {"text_unit": "line"}),
    "x.parquet": (parquet_bytes, {}),
    "x.arrow": (arrow, {}),
    "stream.arrow": (arrow_stream, {}),
    "x.tar": (webdataset, {}),
    "x.tar.gz": (lambda rows: gzip.compress(webdataset(rows), mtime=0), {}),
    "utf16.jsonl": (lambda rows: jsonl(rows).decode().encode("utf-16"), {}),
    "utf16.txt": (lambda rows: lines(rows).decode().encode("utf-16"), {"text_unit": "line"}),
    "auto.txt": (
        lambda rows: lines(rows).decode().encode("cp1252"),
        {"text_unit": "line", "encoding": "auto"},
    ),
}
"""File name -> (writer of its bytes, what the configuration must say)."""
