"""What a stream needs of its caches at once, before it begins.

Stands between `RowStream` and the cache: a cache that is too small would fetch the same shards over
and over.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from pipeline.dataset import Dataset
from pipeline.orders.visits import Visits
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_cache.room import check_room
from pipeline.shard_reading.reader import RowReader


def check_caches(
    opened: Sequence[tuple[Dataset, RowReader]], visits: Visits, consumed_rows: int
) -> None:
    """Raise `UserError` with all numbers unless each cache has room for the shard tables and for
    one window of each data set that is fetched there, those at row `consumed_rows`.

    An order without windows touches every shard and needs no less than all; it is not checked.
    """
    if not any(isinstance(dataset.place, CachedPlace) for dataset, _ in opened):
        return
    needed, num_shards = Counter[CacheFolder](), Counter[CacheFolder]()
    for coming in visits.ahead(consumed_rows):
        dataset, reader = opened[coming.source]
        if isinstance(dataset.place, CachedPlace):
            window = list(islice(coming.shards, coming.window.num_shards))
            needed[dataset.place.cache] += reader.stored_bytes(window)
            num_shards[dataset.place.cache] += len(window)
    for cache, num_bytes in needed.items():
        use = f"windows of {num_shards[cache]} shards, and the tables of shards"
        check_room(cache, num_bytes, use)
