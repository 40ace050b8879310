"""rows -> shard files of one split of one work item, written as they fill.

Stands between packing and `shards.py`; holds at most one record batch of rows and the open rows of
the packer.
"""

from pathlib import Path
from typing import Any, Self

from pipeline.arrow_file import ArrowFileWriter
from pipeline.packing import Packer, encode_rows
from pipeline.shards import record_batch
from schemas.build_config import BuildConfig
from schemas.manifest import HELDOUT
from schemas.plan import WorkItem
from schemas.record import ShardFile
from schemas.samples import RowFormat, Sample


class SplitWriter:
    """Packs samples of one split and writes them as shards of `config.shard_rows` rows.

    A context manager: a shard that is being written when the block fails leaves nothing behind.
    `shards` lists the finished files.
    """

    def __init__(
        self,
        dataset: Path,
        item: WorkItem,
        split: str,
        config: BuildConfig,
        rows: RowFormat,
        pad: int,
    ) -> None:
        self._dataset, self._item, self._split, self._pad = dataset, item, split, pad
        self._config, self._format = config, rows
        self._packer = Packer(rows)
        self._pending: list[list[Sample]] = []
        self._writer: ArrowFileWriter | None = None
        self._rows_in_shard = 0
        self.shards: list[ShardFile] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)
            self._writer = None

    def add(self, sample: Sample) -> None:
        """Pack one sample; rows that fill are written in batches."""
        for row in self._packer.add(sample):
            self._append(row)

    def finish(self) -> None:
        """Write everything that is still open."""
        for row in self._packer.finish():
            self._append(row)
        self._write_batch()
        self._close_shard()

    @property
    def num_rows(self) -> int:
        """Rows in the finished shards."""
        return sum(shard.rows for shard in self.shards)

    def _append(self, row: list[Sample]) -> None:
        self._pending.append(row)
        if len(self._pending) == self._config.record_batch_rows:
            self._write_batch()

    def _write_batch(self) -> None:
        if not self._pending:
            return
        schema = self._format.arrow_schema()
        if self._writer is None:
            self._writer = ArrowFileWriter(self._dataset / self._path(), schema).__enter__()
        arrays = encode_rows(self._pending, self._format, self._pad)
        self._writer.append(record_batch(arrays, schema))
        self._rows_in_shard += len(self._pending)
        self._pending = []
        if self._rows_in_shard >= self._config.shard_rows:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        writer.__exit__(None, None, None)
        assert writer.hashes is not None
        self.shards.append(ShardFile(self._path(), self._split, self._rows_in_shard, writer.hashes))
        self._rows_in_shard = 0

    def _path(self) -> str:
        name = f"{self._item.slice.number:05d}-{len(self.shards):05d}.arrow"
        if self._split == HELDOUT:
            return f"shards/{HELDOUT}/{name}"
        return f"shards/{self._split}/pass-{self._item.pass_number:04d}/{name}"
