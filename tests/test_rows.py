"""Rows to shards: how they are cut into record batches and shards changes none of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.build import BuildRequest, build_dataset
from jobs.care.inspection import VerifyRequest
from jobs.care.verify import verify_dataset
from pipeline.dataset import Dataset, open_dataset
from pipeline.shard_reading.shard_table import ShardTable
from schemas.manifest import SPLITS, ShardEntry
from tests.corpus import NoProgress, small_config


def build_cut(corpus: Path, output: Path, **changes: object) -> Dataset:
    request = BuildRequest(small_config(**changes), [corpus], output, "serial", 1)
    build_dataset(request, NoProgress())
    return open_dataset(output)


def shards_of(dataset: Dataset) -> list[ShardEntry]:
    return [
        entry for split in SPLITS for entry in ShardTable(dataset.place, dataset.manifest, split)
    ]


def rows_of(dataset: Dataset, split: str) -> NDArray[Any]:
    reader = dataset.reader(split)
    return reader.gather(np.arange(reader.num_rows))


@pytest.mark.parametrize("shard_format", ["arrow", "tar"])
@pytest.mark.parametrize(("shard_rows", "batch_rows"), [(32, 32), (30, 16), (1, 1), (65536, 512)])
def test_chosen_record_batches_hold_the_same_rows(
    tmp_path: Path, built: Path, corpus: Path, shard_format: str, shard_rows: int, batch_rows: int
) -> None:
    changes = {"shard_format": shard_format, "shard_rows": shard_rows, "record_batch_rows": 0}
    found = build_cut(corpus, tmp_path / "d", **changes)
    asked = open_dataset(built)
    for split in SPLITS:
        assert np.array_equal(rows_of(found, split), rows_of(asked, split))
    if shard_rows == small_config().shard_rows:  # the digest is over those of shards
        assert found.manifest.content_digest == asked.manifest.content_digest
    for shard in shards_of(found):
        assert shard.rows <= shard_rows // batch_rows * batch_rows
        assert len(shard.hashes.xxh3) - 2 == -(-shard.rows // batch_rows)
    assert not verify_dataset(VerifyRequest(tmp_path / "d"), lambda size: None).problems
