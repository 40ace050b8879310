"""What a stream needs of its cache at once, before it begins.

Stands between `RowStream` and the cache: a cache that is too small would fetch the same shards over
and over.
"""

from collections.abc import Sequence
from itertools import islice

from pipeline.dataset import Dataset
from pipeline.reader import RowReader
from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.room import check_room
from pipeline.visits import Visits


def check_cache(
    cache: CacheFolder,
    opened: Sequence[tuple[Dataset, RowReader]],
    visits: Visits,
    consumed_rows: int,
) -> None:
    """Raise `UserError` with all numbers unless `cache` has room for the shard tables and for one
    window of each data set that is fetched, those at row `consumed_rows`.

    An order without windows touches every shard and needs no less than all; it is not checked.
    """
    needed = num_shards = 0
    for coming in visits.ahead(consumed_rows):
        dataset, reader = opened[coming.source]
        if dataset.place.are_copies:
            window = list(islice(coming.shards, coming.window.num_shards))
            needed += reader.stored_bytes(window)
            num_shards += len(window)
    if needed:
        check_room(cache, needed, f"windows of {num_shards} shards, and the tables of shards")
