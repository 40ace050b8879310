"""The data sets of a stream: what is mixed when a stream begins, and when it goes on from a state.

Stands between the arguments of `RowStream` and its visits.
"""

from collections.abc import Sequence

from pipeline.dataset import MAX_OPEN_SHARDS, Dataset
from pipeline.open_shards import MAPPED_FORMAT
from pipeline.order_names import OrderWish
from pipeline.reader import RowReader
from pipeline.segments import Segment, State, continued, read_state
from pipeline.shard_places import LocalPlace
from pipeline.versions import Versions, check_different
from pipeline.visits import Visits

Segments = tuple[Segment, ...]


class MixedData:
    """Data sets with their weights, in order of digest, `wanted` being the segment they make.

    Raises `UserError` for shares that are too small, `DatasetError` for two versions of one.
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
        check_different(self._versions)
        self._wish, self._is_mapped = wish, all(_is_mapped(dataset) for dataset in datasets)
        at_once = MAX_OPEN_SHARDS // len(datasets)
        is_open = self._is_mapped and all(_num_shards(one, split) <= at_once for one in datasets)
        order = wish.choose([one.manifest for one in datasets], split, is_open)
        self.wanted = Segment(0, {one.digest: weight for one, weight in mixed}, seed, order)

    def resumed(self, state: State, is_change: bool, is_replay: bool) -> tuple[int, Segments]:
        """Rows consumed in `state`, and its segments; unless `is_replay` followed by what is wanted
        as in `continued`.

        `DatasetError` for what is no state, and unless `is_change` for one of another mixture.
        """
        consumed, segments = read_state(state)
        if is_replay:
            return consumed, segments
        order = self._wish.resume(segments[-1].order, self.wanted.order, self._is_mapped)
        wanted = Segment(0, self.wanted.datasets, self.wanted.seed, order)
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
            digest: one.current.digest
            for digest in named - self.wanted.datasets.keys()
            for one in self._versions
            if one.find(digest) is not None
        }


def _is_mapped(dataset: Dataset) -> bool:
    """Whether rows in any order are copied straight out of the files."""
    is_plain = dataset.manifest.shard_format == MAPPED_FORMAT
    return is_plain and isinstance(dataset.place, LocalPlace)


def _num_shards(dataset: Dataset, split: str) -> int:
    return sum(block.shards for block in dataset.manifest.table_blocks if block.split == split)
