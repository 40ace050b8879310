import os
import random
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline import table as table_module
from pipeline.dataset import open_dataset
from pipeline.shard_formats.arrow_file import write_arrow_file
from pipeline.shard_reading import shard_table as shard_table_module
from pipeline.shard_reading.shard_table import BlockColumns, ShardTable
from pipeline.table import encode_entries, write_table
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import HELDOUT, TABLE_SCHEMA, TRAIN, StoredFile
from schemas.names import MANIFEST_NAME
from tests.datasets import TABLE, flip, reseal, write_dataset


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK_SHARDS", 2)
    return open_dataset(write_dataset(tmp_path, rows=50, heldout=6, shards=5))


def open_table(dataset, split=TRAIN):
    return ShardTable(dataset.place, dataset.manifest, split)


def test_a_table_gives_back_the_shards_of_its_split(dataset):
    paths = [entry.path for entry in open_table(dataset)]
    assert paths == [f"shards/train/{number:05d}.arrow" for number in range(5)]
    assert [entry.split for entry in open_table(dataset, HELDOUT)] == [HELDOUT] * 5


def test_every_row_is_found_in_its_block(dataset):
    table = open_table(dataset)
    for row in range(50):
        shards = table.shards(table.block_of(row))
        assert shards[0].first_row <= row < shards[-1].first_row + shards[-1].rows


@pytest.mark.parametrize("split", [TRAIN, HELDOUT])
def test_columns_say_what_the_entries_say(dataset, split):
    table = open_table(dataset, split)
    for number in range(len(table.blocks)):
        columns, entries = table.columns(number), table.shards(number)
        assert columns.rows.dtype == columns.first_rows.dtype == columns.num_batches.dtype
        assert columns.rows.tolist() == [entry.rows for entry in entries]
        assert columns.first_rows.tolist() == [entry.first_row for entry in entries]
        assert columns.num_batches.tolist() == [len(entry.hashes.xxh3) - 2 for entry in entries]
        assert [columns.entry(one) for one in range(len(columns))] == entries
        files = [StoredFile(entry.path, entry.hashes) for entry in entries]
        assert [columns.stored(one) for one in range(len(columns))] == files


@pytest.mark.fault
def test_columns_outlive_their_file(dataset):
    table = open_table(dataset)
    columns, entries = table.columns(1), table.shards(1)
    os.truncate(Path(dataset.name) / TABLE, 0)
    assert [columns.entry(one) for one in range(len(columns))] == entries
    with pytest.raises(CorruptDataError, match=f"{TABLE}: 0 bytes long, expected"):
        table.columns(1)


@pytest.mark.fault
@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_file_that_changes_while_a_block_is_copied_is_looked_at_again(
    dataset, monkeypatch, is_damaged
):
    """Replaced by an equal one, or damaged in place, between hash and copy."""
    table, path = open_table(dataset), Path(dataset.name) / TABLE
    entries, copies = table.shards(1), []

    class Struck(BlockColumns):
        def __init__(self, batch):
            if not copies and is_damaged:
                flip(path, dataset.manifest.table.hashes.offsets[3] - 1)
            elif not copies:
                path.with_name("fresh").write_bytes(path.read_bytes())
                path.with_name("fresh").replace(path)
            super().__init__(batch)
            copies.append(self)

    monkeypatch.setattr(shard_table_module, "BlockColumns", Struck)
    if is_damaged:
        with pytest.raises(CorruptDataError, match=f"{TABLE}: record batch 1 .*repair"):
            table.columns(1)
        return
    columns = table.columns(1)
    assert columns is copies[1]
    assert [columns.entry(one) for one in range(len(columns))] == entries


@pytest.mark.fault
def test_a_block_is_verified_again_when_the_file_has_changed(dataset):
    table = open_table(dataset)
    table.columns(0)
    flip(Path(dataset.name) / TABLE, dataset.manifest.table.hashes.offsets[2] - 1)
    with pytest.raises(CorruptDataError, match=f"{TABLE}: record batch 0 .*repair"):
        table.columns(0)


@pytest.mark.fault
def test_any_flipped_byte_of_the_table_is_an_error_naming_it(dataset):
    path = Path(dataset.name) / TABLE
    content = path.read_bytes()
    for position in random.Random(0).sample(range(len(content)), 300):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(CorruptDataError, match=rf"{TABLE}: .* is damaged.*repair"):
            [list(open_table(dataset, split)) for split in (TRAIN, HELDOUT)]


@pytest.mark.fault
def test_a_damaged_block_spares_the_others(dataset):
    path, hashes = Path(dataset.name) / TABLE, dataset.manifest.table.hashes
    content = bytearray(path.read_bytes())
    content[hashes.offsets[2] - 1] ^= 1
    path.write_bytes(content)
    table = open_table(dataset)
    assert len(table.shards(1)) == 2
    with pytest.raises(CorruptDataError, match="record batch 0"):
        table.shards(0)


def shorter(hashes):
    return replace(hashes, offsets=hashes.offsets[:2], xxh3=hashes.xxh3[:1])


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: replace(entry, rows=0),
        lambda entry: replace(entry, rows=entry.rows + 1),
        lambda entry: replace(entry, rows=2**64 - entry.rows),
        lambda entry: replace(entry, rows=2**63 - 1),
        lambda entry: replace(entry, first_row=2**64 - 1),
        lambda entry: replace(entry, hashes=shorter(entry.hashes)),
    ],
)
def test_a_table_of_impossible_shards_is_refused(dataset, change):
    entries = [change(entry) for entry in open_table(dataset)]
    hashes, _ = write_table(Path(dataset.name) / TABLE, entries)
    blocks = [asdict(one) for one in dataset.manifest.table_blocks if one.split == TRAIN]
    reseal(
        Path(dataset.name) / MANIFEST_NAME,
        table=asdict(StoredFile(TABLE, hashes)),
        table_blocks=blocks,
        rows={TRAIN: 50, HELDOUT: 0},
    )
    reader = open_dataset(Path(dataset.name)).reader(TRAIN)
    with pytest.raises(
        DatasetError, match=r"00000\.arrow and .* do not hold rows 0\.\.20 of train"
    ):
        reader.gather(np.arange(3))
    with pytest.raises(DatasetError, match="repair"):
        reader.rows_of(0)


def read_instead(dataset, *batches):
    """The columns of the first block of a table of these record batches, hashes and all."""
    path = Path(dataset.name) / TABLE
    hashes = write_arrow_file(path, batches[0].schema, batches)
    table = replace(dataset.manifest.table, hashes=hashes)
    return ShardTable(dataset.place, replace(dataset.manifest, table=table), TRAIN)


@pytest.mark.parametrize("left_out", TABLE_SCHEMA.names)
def test_a_table_of_other_columns_is_refused(dataset, left_out):
    batch = encode_entries(open_table(dataset).shards(0))
    table = read_instead(dataset, batch.select([n for n in TABLE_SCHEMA.names if n != left_out]))
    for read in (table.columns, table.shards):
        with pytest.raises(DatasetError, match=f"{TABLE}: expected the columns path string, .*rep"):
            read(0)


@pytest.mark.parametrize("name", ["path", "sha256", "rows", "offsets", "xxh3"])
def test_a_table_with_nulls_is_refused(dataset, name):
    batch = encode_entries(open_table(dataset).shards(0))
    number = TABLE_SCHEMA.names.index(name)
    values = [None, *batch.column(name).to_pylist()[1:]]
    if name in ("offsets", "xxh3"):
        values[0] = [None, 1]
    arrays = list(batch.columns)
    arrays[number] = pa.array(values, TABLE_SCHEMA.field(name).type)
    table = read_instead(dataset, pa.RecordBatch.from_arrays(arrays, schema=TABLE_SCHEMA))
    for read in (table.columns, table.shards):
        with pytest.raises(DatasetError, match=f"{TABLE}: record batch 0 has nulls, expected none"):
            read(0)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_block_of_another_number_of_shards_is_refused(dataset, count):
    entries = list(open_table(dataset))
    table = read_instead(dataset, encode_entries(entries[:count]))
    rows = sum(entry.rows for entry in entries[:count])
    table.blocks[0] = replace(table.blocks[0], rows=rows)
    message = rf"{count} shards of the table,? do not hold rows 0\.\.{rows} of train in 2 shards; r"
    with pytest.raises(DatasetError, match=message):
        table.columns(0)
