"""samples -> shard files of one split of one work item, written as they fill.

Stands between the engines and `shard_file.py`. Samples are written straight into the rows they are
packed in; at most one record batch of closed rows and the open rows of the packer are held.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from pipeline.packing import OPEN_ROWS, Packer, clear_rows
from pipeline.shard_formats.shard_file import ShardWriter, open_shard_writer, shard_suffix
from pipeline.stores.store import Store
from pipeline.tools import Tools
from pipeline.window_batch import Ints, Placement, Rows, SpanBatch, WindowBatch
from schemas.names import shard_folder, shard_name, tar_key_prefix
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
    """Packs the samples of one split and writes them as shards of `config.shard_rows` rows, or as
    many fewer as make whole record batches.

    `shards` lists the finished files; `stack` removes what is not finished.
    """

    def __init__(
        self, store: Store, names: tuple[WorkItem, str], tools: Tools, stack: ExitStack
    ) -> None:
        self._store, (self._item, self._split) = store, names
        self._tools, self._config, self._format = tools, tools.config, tools.row_format
        self._stack = stack
        self._packer = Packer(self._format.row_tokens, self._format.max_samples)
        self._batch_rows = self._config.batch_rows(self._format)
        self._shard_rows = self._config.shard_rows // self._batch_rows * self._batch_rows
        capacity = self._batch_rows + OPEN_ROWS + 1
        self._pool = RowPool(self._format, capacity, tools.rules[0].special.pad)
        self._writer: ShardWriter | None = None
        self._rows_in_shard = 0
        self.shards: list[ShardFile] = []

    def add(self, windows: WindowBatch, spans: SpanBatch, sizes: Ints) -> None:
        """Write the samples of `windows`, of `sizes` (w,) tokens; full batches go to the disk."""
        done, lengths = 0, sizes.tolist()
        while done < len(lengths):
            places: list[tuple[int, int, int]] = []
            for length in lengths[done:]:
                row, first, number = self._packer.place(length)
                places.append((self._pool.slot(row), first, number))
                if len(self._packer.closed) >= self._batch_rows:
                    break
            part = slice(done, done + len(places))
            self._write(windows.part(part), spans.part(part), np.array(places, np.int64))
            done = part.stop
            self._flush(self._batch_rows)

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
        self._tools.engine.write(windows, spans, self._tools.rules, placement, self._pool.rows)
        stops = windows.starts + windows.lengths
        columns = (windows.documents, windows.numbers, windows.starts, stops)
        self._pool.origin[:, rows, numbers] = columns

    def _flush(self, least: int) -> None:
        """Write closed rows in record batches while there are at least `least`."""
        size, closed = self._batch_rows, self._packer.closed
        while len(closed) >= least:
            self._write_batch(self._pool.take(closed[:size]))
            del closed[:size]

    def _write_batch(self, arrays: RowArrays) -> None:
        if self._writer is None:
            folder = shard_folder(self._item, self._split)
            self._open = self._stack.enter_context(ExitStack())
            self._draft = self._open.enter_context(self._store.draft(folder))
            self._writer = open_shard_writer(
                self._config.shard_format,
                self._draft.path,
                self._format,
                self._batch_rows,
                tar_key_prefix(self._item, len(self.shards)),
            )
        self._writer.append(arrays)
        self._rows_in_shard += len(arrays.rows)
        if self._rows_in_shard >= self._shard_rows:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        written, self._writer = self._writer.close(), None
        suffix = shard_suffix(self._config.shard_format)
        place = (self._split, len(self.shards), written.hashes.sha256, suffix)
        name = shard_name(self._item, *place)
        self._draft.commit(name)
        self._open.close()
        self.shards.append(
            ShardFile(name, self._split, written.rows, written.rows_xxh3, written.hashes)
        )
        self._rows_in_shard = 0
