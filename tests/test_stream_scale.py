"""A data set of ten billion rows is what a reader expects, and starting in it costs little."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import many_shards, stream_scale, wide_dataset
from benchmarks.wide_dataset import ROW_FORMAT, SHARD, SHARD_ROWS, equal_columns, table_block
from pipeline.stream import RowStream
from pipeline.table import decode_entries, encode_entries
from schemas.manifest import TRAIN, FileHashes, ShardEntry

HASHES = FileHashes(30, "ab" * 32, (0, 10, 20, 30), (1, 2, 3))
SHARDS = 2500


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide") / "data"
    assert wide_dataset.write_wide(folder, SHARDS) == SHARDS * SHARD_ROWS
    return folder


def test_a_block_of_the_table_is_what_the_build_would_write() -> None:
    block = table_block(2048, 3, equal_columns(HASHES))
    entries = [
        ShardEntry(SHARD, TRAIN, "00" * 32, 0, 0, n, SHARD_ROWS, n * SHARD_ROWS, 0, HASHES)
        for n in (2048, 2049, 2050)
    ]
    assert decode_entries(block) == entries
    assert block.equals(encode_entries(entries))


def test_every_row_of_a_wide_data_set_can_be_read(wide: Path) -> None:
    with RowStream(wide, consumed_rows=SHARDS * SHARD_ROWS - 70, seed=3) as stream:
        batch = next(stream)
    expected = np.random.default_rng(0).integers(
        0, 1000, (SHARD_ROWS, ROW_FORMAT.width), dtype=np.uint16
    )
    assert np.array_equal(batch.rows, expected[batch.row_numbers % SHARD_ROWS])
    assert len(np.unique(batch.row_numbers // SHARD_ROWS)) > 55


def test_memory_of_a_stage_is_what_it_adds(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    stages = {"nothing": lambda *_: None, "much": lambda *_: kept.append(b"1" * 50_000_000)}
    monkeypatch.setattr(stream_scale, "STAGES", stages)
    nothing, much = (stream_scale.measure_here(stage, wide, "global", {}) for stage in stages)
    assert nothing["megabytes"] < 5
    assert 49 < much["megabytes"] < 60
    assert kept


def test_every_stage_prints_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_scale, "TIMES", 1)
    monkeypatch.setattr(stream_scale, "ORDERS", ("windowed",))
    stream_scale.main(["--shards", str(SHARDS)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stage"] for line in lines] == list(stream_scale.STAGES)
    for line in lines:
        assert 0 < line["milliseconds"] < 10_000
        assert line["peak_megabytes"] < 200
        assert (line["order"], line["rows"]) == ("windowed", SHARDS * SHARD_ROWS)


def test_a_stage_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such folder"):
        stream_scale.measure("start", tmp_path / "none", "global", {})


def test_both_orders_are_measured_over_many_shards(capsys: pytest.CaptureFixture[str]) -> None:
    many_shards.main(["--shards", "3", "40", "--seconds", "0.05"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["shards"] for line in lines] == [3, 40]
    for line in lines:
        assert line["global_rows_per_second"] > 100
        assert line["windowed_rows_per_second"] > 100
