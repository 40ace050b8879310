"""What a stream needs of its caches at once, before it begins.

Stands between `RowStream` and the cache: a cache that is too small would fetch the same shards over
and over.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from pipeline.dataset import Dataset
from pipeline.orders.order_names import OrderWish, mean_shard_bytes, window_shards_of
from pipeline.orders.visits import Visits
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_cache.room import check_room
from pipeline.shard_reading.reader import RowReader

_SMALLER = (
    "give a smaller window_shards (`train.window_shards`; beside a state with change=True, `train "
    "--change-data`)"
)


def check_tables(datasets: Sequence[Dataset], split: str, wish: OrderWish) -> None:
    """Raise `UserError` with all numbers unless each cache has room for the shard tables of the
    data sets that are fetched there, without which `check_caches` cannot look at windows.

    What the windows wished for take beside them is told from the mean rows of a shard.
    """
    remote = [dataset for dataset in datasets if isinstance(dataset.place, CachedPlace)]
    tables, windows = Counter[CacheFolder](), Counter[CacheFolder]()
    order = wish.choose([dataset.manifest for dataset in datasets], split, fits_open=False)
    window_shards = window_shards_of(order) or 0
    for dataset in remote:
        assert isinstance(dataset.place, CachedPlace)
        cache, manifest = dataset.place.cache, dataset.manifest
        tables[cache] += manifest.table.hashes.bytes
        num_shards = min(window_shards, manifest.num_shards(split))
        windows[cache] += num_shards * mean_shard_bytes(manifest, split)
    for cache, num_bytes in tables.items():
        rows = windows[cache]
        more = f" alone, without the windows (about {rows} bytes of rows)" if rows else ""
        check_room(cache, num_bytes, f"the tables of shards{more}")


def check_caches(
    opened: Sequence[tuple[Dataset, RowReader]],
    visits: Visits,
    consumed_rows: int,
    is_replay: bool = False,
) -> None:
    """Raise `UserError` with all numbers unless each cache has room for the shard tables and for
    one window of each data set that is fetched there, those at row `consumed_rows`.

    A window that an epoch ends early counts as a full one, of shards of the next epoch, but no
    shard counts twice: a cache as large as all files has room for any window. An order without
    windows touches every shard and needs no less than all; it is not checked. A replay cannot have
    other windows, which are a remedy else.
    """
    if not any(isinstance(dataset.place, CachedPlace) for dataset, _ in opened):
        return
    needed, num_shards = Counter[CacheFolder](), Counter[CacheFolder]()
    remedies = dict[CacheFolder, str]()
    for coming in visits.ahead(consumed_rows):
        dataset, reader = opened[coming.source]
        if isinstance(dataset.place, CachedPlace):
            window = set(islice(coming.shards, coming.window.num_shards))
            needed[dataset.place.cache] += reader.stored_bytes(window)
            num_shards[dataset.place.cache] += len(window)
            if coming.window.num_shards > 1 and not is_replay:
                remedies[dataset.place.cache] = _SMALLER
    for cache, num_bytes in needed.items():
        use = f"windows of {num_shards[cache]} shards, and the tables of shards"
        check_room(cache, num_bytes, use, remedies.get(cache, ""))
