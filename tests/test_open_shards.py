"""Shards that are whole by their hashes and no shards of the data set: refused, not guessed at."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset import parse_dataset
from pipeline.shard_reading.reader import RowReader
from pipeline.stores.local import LocalStore
from schemas.errors import DatasetError
from schemas.manifest import TRAIN
from schemas.names import MANIFEST_NAME
from schemas.samples import ORIGIN_COLUMNS
from tests.copying_place import CopyingPlace
from tests.datasets import Content, random_rows, reseal
from tests.foreign_shards import Change, change_batches, turn_byte_order
from tests.format_datasets import write_dataset_as

COMPRESSIONS = {"arrow": "", "arrow-lz4": "lz4", "arrow-zstd": "zstd"}
CONTENT = Content()
WIDTH = CONTENT.row_format.width
ROWS = random_rows(CONTENT).rows
ALL = np.arange(len(ROWS))

pytestmark = pytest.mark.fault


@pytest.fixture(params=COMPRESSIONS)
def shard_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_rows(make: Callable[[np.ndarray], pa.Array]) -> Change:  # type: ignore[type-arg]
    """Another column in the place of `row`."""

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.column("row").values.to_numpy().reshape(batch.num_rows, -1)
        return batch.set_column(0, pa.field("row", make(rows).type, False), make(rows))

    return change


def lists(numbers: np.ndarray) -> pa.Array:  # type: ignore[type-arg]
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), numbers.shape[1])


def with_a_null(batch: pa.RecordBatch) -> pa.RecordBatch:
    column = batch.column("row")
    column = pa.array([None, *column.to_pylist()[1:]], column.type)
    return pa.RecordBatch.from_arrays([column, *batch.columns[1:]], schema=batch.schema)


FOREIGN: dict[str, Change] = {
    "no rows": lambda batch: batch.select(ORIGIN_COLUMNS),
    "no documents": lambda batch: batch.select(["row", *ORIGIN_COLUMNS[1:]]),
    "one more": lambda batch: batch.append_column("more", batch.column("start")),
    "another order": lambda batch: batch.select([*ORIGIN_COLUMNS, "row"]),
    "text": with_rows(lambda rows: pa.array([str(row) for row in rows])),
    "signed": with_rows(lambda rows: lists(rows.view(np.int16))),
    "wide": with_rows(lambda rows: lists(rows.astype(np.uint32))),
    "shorter rows": with_rows(lambda rows: lists(rows[:, :-1].copy())),
    "variable lists": with_rows(lambda rows: pa.array(rows.tolist(), pa.list_(pa.uint16()))),
    "nothing at all": lambda batch: pa.RecordBatch.from_arrays([], schema=pa.schema([])),
    "a null": with_a_null,
}


def refuse(source: Path, message: str) -> None:
    """Every way to the rows ends with the message, and nobody fetches what is not damaged."""
    place = CopyingPlace(source, source.parent / "copies")
    content = (source / MANIFEST_NAME).read_bytes()
    reads: list[Callable[[RowReader], object]] = [
        lambda reader: reader.gather(ALL),
        lambda reader: reader.gather(ALL[7:8]),
        lambda reader: reader.origin(7),
    ]
    for read in reads:
        reader = parse_dataset(LocalStore(source), place, content).reader(TRAIN)
        for _ in range(2):
            with pytest.raises(DatasetError, match=message + ".*; run `blankstream repair`"):
                read(reader)
    assert place.aside == []


@pytest.mark.parametrize("what", FOREIGN)
def test_shards_of_other_columns_are_refused(tmp_path: Path, shard_format: str, what: str) -> None:
    source = write_dataset_as(tmp_path / "d", shard_format)
    change_batches(source, COMPRESSIONS[shard_format], FOREIGN[what])
    told = "has nulls" if what == "a null" else "expected the columns row fixed_size_list"
    refuse(source, rf"0000\d\.arrow: .*{told}")


def test_shards_of_the_other_byte_order_are_refused(tmp_path: Path, shard_format: str) -> None:
    source = write_dataset_as(tmp_path / "d", shard_format)
    turn_byte_order(source)
    refuse(source, r"0000\d\.arrow: .* found them in another byte order")


@pytest.mark.parametrize("compressed", ["arrow-lz4", "arrow-zstd"])
def test_a_compressed_shard_under_the_name_of_a_plain_one_is_refused(
    tmp_path: Path, compressed: str
) -> None:
    """Arrow decompresses rows into memory of its own, which is free again a moment later."""
    source = write_dataset_as(tmp_path / "d", compressed)
    change_batches(source, COMPRESSIONS[compressed], with_rows(lambda rows: lists(rows * 0)))
    reseal(source / MANIFEST_NAME, shard_format="arrow")
    refuse(source, r"0\.arrow: the rows of record batch \d do not lie in bytes \d+\.\.\d+")


def test_a_record_batch_that_is_too_short_is_refused(tmp_path: Path, shard_format: str) -> None:
    """The second of three, of the 13 rows that the table says."""
    source = write_dataset_as(tmp_path / "d", shard_format)
    calls = itertools.count()
    change_batches(
        source,
        COMPRESSIONS[shard_format],
        lambda batch: batch.slice(0, 4) if next(calls) % 3 == 1 else batch,
    )
    refuse(source, r"00000\.arrow: record batch 1 is 4 rows, expected 5")


def test_batches_that_cannot_hold_the_rows_of_the_table_are_refused(
    tmp_path: Path, shard_format: str
) -> None:
    source = write_dataset_as(tmp_path / "d", shard_format)
    change_batches(source, COMPRESSIONS[shard_format], lambda batch: batch.slice(0, 2))
    refuse(source, r"00000\.arrow: 3 record batches of 2 rows cannot hold the 13 rows")
