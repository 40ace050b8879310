"""The tables of a plan: its inputs and its slices, written as they are cut, read as they are used.

Stands between planning and the executors. Neither writing nor reading holds more than one record
batch of slices, so that ten million items need no more memory than ten.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from pipeline.shard_formats.arrow_file import ArrowFileWriter, VerifiedArrowFile
from pipeline.stores.store import Store
from schemas.errors import DamagedError
from schemas.manifest import StoredFile
from schemas.names import plan_table_name
from schemas.plan import (
    PLAN_REMEDY,
    InputFile,
    NewSlices,
    Plan,
    Slice,
    SourceRange,
    WorkItem,
    work_item,
)

INPUTS_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.uint64(), nullable=False),
        pa.field("sha256", pa.binary(32), nullable=False),
    ]
)
SLICES_SCHEMA = pa.schema(
    [
        pa.field("slice", pa.uint64(), nullable=False),
        pa.field("input", pa.uint32(), nullable=False),
        pa.field("start", pa.uint64(), nullable=False),
        pa.field("stop", pa.uint64(), nullable=False),
        pa.field("xxh3", pa.binary(16), nullable=False),
    ]
)
"""One line per range: `input` is the line of the generation's inputs; ranges of a slice follow one
another. `xxh3` is that of `SourceRange`."""

_BATCH_LINES = 1 << 16


class PlanTablesWriter:
    """Writes the tables of one generation; slices are numbered from `first_slice` on."""

    def __init__(self, store: Store, first_slice: int) -> None:
        self._store, self._first, self._count = store, first_slice, 0
        self._numbers: dict[str, int] = {}
        self._inputs: list[tuple[Any, ...]] = []
        self._lines: list[tuple[Any, ...]] = []

    def write(self, groups: Iterable[tuple[SourceRange, ...]]) -> NewSlices | None:
        """Write one slice per group; None when there is none.

        Inputs are announced with `add_input` before the first slice that reads them is drawn from
        `groups`.
        """
        with self._store.draft("plan") as draft:
            writer = ArrowFileWriter(draft.path, SLICES_SCHEMA)
            for number, group in enumerate(groups, start=self._first):
                self._count += 1
                self._lines += [self._line(number, part) for part in group]
                if len(self._lines) >= _BATCH_LINES:
                    self._flush(writer)
            self._flush(writer)
            hashes = writer.close()
            if not self._count:
                return None
            name = plan_table_name("slices", hashes.sha256)
            draft.commit(name)
        return NewSlices(self._count, StoredFile(name, hashes), self._write_inputs())

    def add_input(self, file: InputFile) -> None:
        """Note an input and its identity."""
        self._numbers[file.path] = len(self._inputs)
        self._inputs.append((file.path, file.bytes, bytes.fromhex(file.sha256)))

    def _line(self, number: int, part: SourceRange) -> tuple[Any, ...]:
        source = self._numbers[part.path]
        return number, source, part.start, part.stop, bytes.fromhex(part.xxh3)

    def _flush(self, writer: ArrowFileWriter) -> None:
        if self._lines:
            writer.append(_batch(self._lines, SLICES_SCHEMA))
            self._lines = []

    def _write_inputs(self) -> StoredFile:
        with self._store.draft("plan") as draft:
            writer = ArrowFileWriter(draft.path, INPUTS_SCHEMA)
            for start in range(0, len(self._inputs), _BATCH_LINES):
                writer.append(_batch(self._inputs[start : start + _BATCH_LINES], INPUTS_SCHEMA))
            hashes = writer.close()
            name = plan_table_name("inputs", hashes.sha256)
            draft.commit(name)
        return StoredFile(name, hashes)


def _batch(lines: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*lines, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class PlanReader:
    """The items, slices and inputs of a plan; a context manager that holds its tables open.

    Raises `CorruptDataError` for a damaged table, `DatasetError` for a missing one.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store, self.plan = store, plan
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._tables = [
                _GenerationTables(
                    self._open(one.slices, SLICES_SCHEMA, stack),
                    self._open(one.inputs, INPUTS_SCHEMA, stack),
                    one,
                )
                for one in self.plan.generations
                if one.slices is not None and one.inputs is not None
            ]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _open(
        self, stored: StoredFile | None, schema: pa.Schema, stack: ExitStack
    ) -> VerifiedArrowFile:
        assert stored is not None
        try:
            path = stack.enter_context(self._store.local(stored.path))
        except FileNotFoundError as error:
            raise DamagedError(
                f"{self._store.where(stored.path)}: missing; {PLAN_REMEDY}"
            ) from error
        file = VerifiedArrowFile(Path(path), stored.hashes, PLAN_REMEDY, schema)
        stack.callback(file.close)
        return file

    def items(self) -> Iterator[WorkItem]:
        """Every work item in table order: generation, pass, slice."""
        for number, generation in enumerate(self.plan.generations):
            for pass_number in range(generation.first_pass, generation.stop_pass):
                for slice_ in self.slices(generation.first_slice, generation.stop_slice):
                    yield work_item(self.plan.recipe_digest, number, pass_number, slice_)

    def slices(self, first: int = 0, stop: int | None = None) -> Iterator[Slice]:
        """The slices in [first, stop), all of them by default."""
        last = self.plan.num_slices if stop is None else stop
        for tables in self._tables:
            if tables.generation.first_slice < last and tables.generation.stop_slice > first:
                yield from (one for one in tables.slices() if first <= one.number < last)

    def inputs(self) -> Iterator[InputFile]:
        """Every input in the order in which they were added."""
        for tables in self._tables:
            yield from tables.inputs()

    def source_bytes(self) -> int:
        """Bytes of input that all items read, each pass counted."""
        by_slices = {
            tables.generation.first_slice: sum(file.bytes for file in tables.inputs())
            for tables in self._tables
        }
        return sum(
            size * (generation.stop_pass - generation.first_pass)
            for generation in self.plan.generations
            for first, size in by_slices.items()
            if generation.first_slice <= first < generation.stop_slice
        )


class _GenerationTables:
    """The two tables of a generation that brought in slices."""

    def __init__(
        self, slices: VerifiedArrowFile, inputs: VerifiedArrowFile, generation: Any
    ) -> None:
        self._slices, self._inputs, self.generation = slices, inputs, generation
        self._paths: list[str] | None = None

    def inputs(self) -> Iterator[InputFile]:
        for number in range(self._inputs.num_batches):
            for line in self._inputs.batch(number).to_pylist():
                yield InputFile(line["path"], line["bytes"], line["sha256"].hex())

    def slices(self) -> Iterator[Slice]:
        """A slice whose ranges lie in two record batches comes out whole."""
        if self._paths is None:
            self._paths = [file.path for file in self.inputs()]
        for number, lines in groupby(self._lines(), key=lambda line: line[0]):
            ranges = (
                SourceRange(self._paths[source], start, stop, xxh3.hex())
                for _, source, start, stop, xxh3 in lines
            )
            yield Slice(number, tuple(ranges))

    def _lines(self) -> Iterator[tuple[int, int, int, int, bytes]]:
        for number in range(self._slices.num_batches):
            batch = self._slices.batch(number)
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
