"""Rows as they are on disk -> tensors that the model takes.

Stands between the stream and the model: rows cross to the device in one copy of their narrow type
and are widened there.

Shapes: B rows, L tokens of a row, S sample places, N labelled places.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from model.attention import Layout
from pipeline.stream import RowStream
from schemas.errors import ConfigError, UserError
from schemas.model_config import ModelConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import RowFormat


@dataclass(frozen=True)
class DeviceBatch:
    """Rows on one device, everything int64: four times (B, L), the layout, objectives (B, S).

    Labels are `IGNORE_INDEX` where nothing is predicted; objectives are codes, 0 for no sample.
    """

    tokens: Tensor
    labels: Tensor
    positions: Tensor
    block_positions: Tensor
    layout: Layout
    objectives: Tensor

    def samples_at(self, indices: Tensor) -> Tensor:
        """Numbers (N,) of the sample places that `indices` belong to, int64 (N,) into the flattened
        (B x L); row b has the S + 1 places from b * (S + 1) on, the last one for padding."""
        rows, row_tokens = self.tokens.shape
        lengths_BS = self.layout.lengths
        padding_B1 = row_tokens - lengths_BS.sum(dim=1, keepdim=True)
        repeats = torch.cat((lengths_BS, padding_B1), dim=1).flatten()
        places = torch.arange(len(repeats), device=repeats.device)
        size = rows * row_tokens
        return torch.repeat_interleave(places, repeats, output_size=size).index_select(0, indices)


def to_device(rows: NDArray[Any], row_format: RowFormat, device: torch.device) -> DeviceBatch:
    """`rows` (B, width) of the format's type as a `DeviceBatch`; one copy to the device.

    To a GPU through pinned memory, without waiting for it: torch uses that memory again only when
    the copy has ended, and whatever computes with the batch comes behind it.
    """
    narrow = torch.from_numpy(rows)
    if device.type == "cuda":
        narrow = narrow.pin_memory().to(device, non_blocking=True)
    parts = _widened(narrow.to(device), row_format)
    return DeviceBatch(
        tokens=parts["tokens"],
        labels=parts["labels"],
        positions=parts["positions"],
        block_positions=parts["block_positions"],
        layout=Layout(lengths=parts["lengths"], boundaries=parts["boundaries"]),
        objectives=parts["objectives"],
    )


def check_positions(rows: NDArray[Any], row_format: RowFormat, config: ModelConfig) -> None:
    """Raise `ConfigError` when a position of `rows` lies outside the model's position tables."""
    slices = row_format.slices
    found = int(rows[:, slices["positions"].start : slices["block_positions"].stop].max(initial=0))
    if found > config.max_sequence_length:
        raise ConfigError(
            f"model.max_sequence_length={config.max_sequence_length}: a row has position {found}; "
            f"train with at least model.max_sequence_length={found}, or build with shorter windows"
        )


def _widened(rows: Tensor, row_format: RowFormat) -> dict[str, Tensor]:
    wide = rows.to(torch.int64)
    parts = {name: wide[:, place] for name, place in row_format.slices.items()}
    labels = parts["labels"]
    parts["labels"] = labels.masked_fill(labels == row_format.ignore, IGNORE_INDEX)
    return parts


class TorchRows(IterableDataset[dict[str, Tensor]]):
    """A `RowStream` for other trainers: `DataLoader(TorchRows(stream), batch_size=None)`.

    Yields whole batches as int64 tensors on the CPU by name: tokens, labels (`IGNORE_INDEX` where
    nothing is predicted), positions, block_positions, lengths, boundaries, objectives. Its state is
    the stream's. Raises `UserError` in a worker process, where rows would come more than once; the
    stream prefetches by itself.
    """

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        if get_worker_info() is not None:
            raise UserError(
                "TorchRows: every worker of a DataLoader would read the same rows; "
                "use num_workers=0, the stream reads ahead on a thread of its own"
            )
        for batch in self._stream:
            yield _widened(torch.from_numpy(batch.rows), self._stream.row_format)

    def state_dict(self) -> dict[str, Any]:
        """State of the stream behind the last batch."""
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at `state`."""
        self._stream.load_state_dict(state)
