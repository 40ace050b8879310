"""A cache is refused where it is too small for one window, and never where it holds everything."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset import Dataset, open_dataset, parse_dataset
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.stores.local import LocalStore
from pipeline.stream import RowStream
from schemas.errors import UserError
from schemas.names import MANIFEST_NAME
from tests.cached_files import RULES
from tests.datasets import ROW_FORMAT, TABLE, write_dataset

SHARDS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("few") / "d", rows=120, shards=SHARDS)


def cached_bytes(folder: Path) -> int:
    """Bytes of all shards and of their table."""
    shards = (folder / "shards").rglob("*.arrow")
    return sum(path.stat().st_size for path in (*shards, folder / TABLE))


def remote(folder: Path, cache: Path, limit_bytes: int) -> Dataset:
    """The data set of a folder, read through a cache."""
    store = LocalStore(folder)
    place = CachedPlace(store, CacheFolder(cache, limit_bytes, RULES))
    return parse_dataset(store, place, store.read(MANIFEST_NAME))


def rows_of(dataset: Dataset, **arguments: object) -> np.ndarray:
    with RowStream(dataset, 16, epochs=2, order="windowed", **arguments) as stream:  # type: ignore[arg-type]
        return np.concatenate([batch.rows for batch in stream])


@pytest.mark.parametrize("window_shards", [SHARDS, SHARDS + 1, 9 * SHARDS])
def test_a_cache_as_large_as_the_data_set_has_room_for_any_window(
    folder: Path, tmp_path: Path, window_shards: int
) -> None:
    dataset = remote(folder, tmp_path / "cache", cached_bytes(folder))
    found = rows_of(dataset, window_shards=window_shards)
    assert np.array_equal(found, rows_of(open_dataset(folder), window_shards=window_shards))
    with RowStream(dataset, 16, consumed_rows=115, window_shards=window_shards) as stream:
        assert len(next(stream).rows) == 16


@pytest.mark.parametrize(("window_shards", "counted"), [(9 * SHARDS, SHARDS), (4, 4)])
def test_a_cache_too_small_is_refused_with_a_smaller_window_for_a_remedy(
    folder: Path, tmp_path: Path, window_shards: int, counted: int
) -> None:
    limit = cached_bytes(folder) * (counted - 1) // SHARDS
    message = (
        rf"too small for windows of {counted} shards, and the tables of shards: \d+ bytes are "
        r"needed at once, .*; give a smaller window_shards \(`train\.window_shards`; beside a "
        r"state with change=True, `train --change-data`\), raise the limit \(`cache_bytes`, "
        r"`--cache-bytes`\), free space"
    )
    with pytest.raises(UserError, match=message):
        rows_of(remote(folder, tmp_path / "cache", limit), window_shards=window_shards)


def test_a_cache_too_small_for_the_table_is_refused_before_anything_is_fetched(
    folder: Path, tmp_path: Path
) -> None:
    table = (folder / TABLE).stat().st_size
    dataset = remote(folder, tmp_path / "cache", 1000)
    message = (
        r"cache: too small for the tables of shards alone, without the windows \(about "
        rf"{2 * 20 * ROW_FORMAT.row_bytes} bytes of rows\): {table} bytes are "
        r"needed at once, the limit of the cache is 1000, .* more; raise the limit "
        r"\(`cache_bytes`, `--cache-bytes`\)"
    )
    with pytest.raises(UserError, match=message):
        rows_of(dataset, window_shards=2)
    assert not list((tmp_path / "cache" / "objects").rglob("*"))


def test_a_smaller_window_is_no_remedy_where_it_has_one_shard(folder: Path, tmp_path: Path) -> None:
    limit = (folder / TABLE).stat().st_size + 1
    with pytest.raises(UserError, match=r"too small for windows of 1 .* more; raise the limit"):
        rows_of(remote(folder, tmp_path / "cache", limit), window_shards=1)
