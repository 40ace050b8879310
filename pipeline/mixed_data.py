"""The data sets of a stream: what is mixed when a stream begins, and when it goes on from a state.

Stands between the arguments of `RowStream` and its visits.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.dataset import Dataset
from pipeline.orders.continued import continued
from pipeline.orders.order_names import OrderWish
from pipeline.orders.segments import Segment, State, read_state
from pipeline.orders.visits import Visits
from pipeline.shard_reading.reader import RowReader
from pipeline.versions import Versions, check_different, check_not_earlier

Segments = tuple[Segment, ...]


class MixedData:
    """Data sets with their weights, in order of digest, `wanted` being the segment they make.

    Raises `DatasetError` for two data sets that have rows of a third, or of each other.
    """

    def __init__(
        self,
        mixed: Sequence[tuple[Dataset, float]],
        readers: Sequence[RowReader],
        split: str,
        seed: int,
        wish: OrderWish,
    ) -> None:
        datasets = [dataset for dataset, _ in mixed]
        pairs = zip(datasets, readers, strict=True)
        self._versions = [Versions(dataset, split, reader.rows_of) for dataset, reader in pairs]
        self._lineages = [one.lineage for one in self._versions]
        check_different(self._lineages)
        self._wish, self._can_be_mapped = wish, all(dataset.is_mapped for dataset in datasets)
        fits_open = self._can_be_mapped and all(
            dataset.manifest.num_shards(split) <= dataset.max_open_shards(len(datasets))
            for dataset in datasets
        )
        order = wish.choose([one.manifest for one in datasets], split, fits_open)
        firsts = {one.dataset.digest: one.first for one in self._lineages}
        grown_from = {one: first for one, first in firsts.items() if first and first != one}
        weights = {one.digest: weight for one, weight in mixed}
        self.wanted = Segment(0, weights, seed, order, grown_from)

    def resumed(self, state: State, is_change: bool, is_replay: bool) -> tuple[int, Segments]:
        """Rows consumed in `state`, and its segments; unless `is_replay` followed by what is wanted
        as in `continued`.

        `DatasetError` for what is no state, for one that read a later version of a data set than
        the one given, and unless `is_change` for one of another mixture.
        """
        consumed, segments = read_state(state)
        if is_replay:
            return consumed, segments
        read = [segment for segment in segments if segment.first_row < consumed]
        check_not_earlier(read, self._lineages)
        order = self._wish.resume(segments[-1].order, self.wanted.order, self._can_be_mapped)
        wanted = replace(self.wanted, order=order)
        return consumed, continued(segments, consumed, wanted, self._grown(segments), is_change)

    def visits(self, segments: Segments, consumed_rows: int) -> Visits:
        """The visits of `segments`; `DatasetError` when a data set that they need from row
        `consumed_rows` on is not given."""
        visits = Visits(segments, self._versions)
        visits.check_given(consumed_rows)
        return visits

    def _grown(self, segments: Segments) -> dict[str, str]:
        """Digest of an earlier version of a data set that is given -> its digest."""
        named = {digest for segment in segments for digest in segment.datasets}
        return {
            digest: one.dataset.digest
            for digest in named - self.wanted.datasets.keys()
            for one in self._lineages
            if one.was(digest)
        }
