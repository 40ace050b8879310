"""samples -> shard files of one split of one work item, written as they fill.

Stands between the engines and `shards.py`. Samples are written straight into the rows they are
packed in; at most one record batch of closed rows and the open rows of the packer are held.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline.arrow_file import ArrowFileWriter
from pipeline.assemble import Rules
from pipeline.packing import OPEN_ROWS, Packer, clear_rows
from pipeline.shards import record_batch
from pipeline.window_batch import Engine, Ints, Placement, Rows, SpanBatch, WindowBatch
from schemas.build_config import BuildConfig
from schemas.manifest import HELDOUT
from schemas.plan import WorkItem
from schemas.record import ShardFile
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat


class RowPool:
    """Rows being filled, by the number the packer gives them; closed ones are taken in order."""

    def __init__(self, row_format: RowFormat, capacity: int, pad: int) -> None:
        self._format, self._pad = row_format, pad
        self.rows = Rows(np.empty((capacity, row_format.width), row_format.dtype), row_format)
        shape = (len(ORIGIN_COLUMNS), capacity, row_format.max_samples)
        self.origin = np.zeros(shape, np.uint32)
        self._free = list(range(capacity - 1, -1, -1))
        self._slots: dict[int, int] = {}

    def slot(self, row: int) -> int:
        """Where row number `row` is; an empty one when it is new."""
        slot = self._slots.get(row)
        if slot is None:
            slot = self._slots[row] = self._free.pop()
            clear_rows(self.rows.values[slot], self._format, self._pad)
            self.origin[:, slot] = 0
        return slot

    def take(self, numbers: Sequence[int]) -> RowArrays:
        """Copies of the rows `numbers`, whose places become free."""
        slots = [self._slots.pop(number) for number in numbers]
        self._free += slots
        return RowArrays(self.rows.values[slots], self.origin[:, slots])


class SplitWriter:
    """Packs the samples of one split and writes them as shards of `config.shard_rows` rows.

    A context manager: a shard that is being written when the block fails leaves nothing behind.
    `shards` lists the finished files. `rules` are those of the recipe's objectives, by name.
    """

    def __init__(
        self,
        path: Path,
        names: tuple[WorkItem, str],
        config: BuildConfig,
        rules: Sequence[Rules],
        row_format: RowFormat,
        engine: Engine,
    ) -> None:
        self._dataset, (self._item, self._split) = path, names
        self._config, self._rules, self._format = config, rules, row_format
        self._engine = engine
        self._packer = Packer(row_format.row_tokens, row_format.max_samples)
        capacity = config.record_batch_rows + OPEN_ROWS + 1
        self._pool = RowPool(row_format, capacity, rules[0].special.pad)
        self._writer: ArrowFileWriter | None = None
        self._rows_in_shard = 0
        self.shards: list[ShardFile] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)
            self._writer = None

    def add(self, windows: WindowBatch, spans: SpanBatch, sizes: Ints) -> None:
        """Write the samples of `windows`, of `sizes` (w,) tokens; full batches go to the disk."""
        done, lengths = 0, sizes.tolist()
        while done < len(lengths):
            places: list[tuple[int, int, int]] = []
            for length in lengths[done:]:
                row, first, number = self._packer.place(length)
                places.append((self._pool.slot(row), first, number))
                if len(self._packer.closed) >= self._config.record_batch_rows:
                    break
            part = slice(done, done + len(places))
            self._write(windows.part(part), spans.part(part), np.array(places, np.int64))
            done = part.stop
            self._flush(self._config.record_batch_rows)

    def finish(self) -> None:
        """Write everything that is still open."""
        self._packer.finish()
        self._flush(1)
        self._close_shard()

    @property
    def num_rows(self) -> int:
        """Rows in the finished shards."""
        return sum(shard.rows for shard in self.shards)

    def _write(self, windows: WindowBatch, spans: SpanBatch, places: Ints) -> None:
        rows, firsts, numbers = (np.ascontiguousarray(column) for column in places.T)
        placement = Placement(rows, firsts, numbers)
        self._engine.write(windows, spans, self._rules, placement, self._pool.rows)
        stops = windows.starts + windows.lengths
        columns = (windows.documents, windows.numbers, windows.starts, stops)
        self._pool.origin[:, rows, numbers] = columns

    def _flush(self, least: int) -> None:
        """Write closed rows in record batches while there are at least `least`."""
        size, closed = self._config.record_batch_rows, self._packer.closed
        while len(closed) >= least:
            self._write_batch(self._pool.take(closed[:size]))
            del closed[:size]

    def _write_batch(self, arrays: RowArrays) -> None:
        schema = self._format.arrow_schema()
        if self._writer is None:
            self._writer = ArrowFileWriter(self._dataset / self._path(), schema).__enter__()
        self._writer.append(record_batch(arrays, schema))
        self._rows_in_shard += len(arrays.rows)
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
