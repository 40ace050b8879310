"""Held-out loss per objective, and what a unigram model would have reached.

Stands beside the training: read by `blankstream demo`. Both losses are means over the
same labels, end tokens included, in nats per label, so they can be compared directly.

Shapes: B rows, L tokens of a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from jobs.batches import check_positions, to_device
from jobs.train_step import losses_by_objective, losses_by_sample
from model.loss import token_losses
from model.transformer import GLM
from pipeline.dataset import Dataset
from schemas.errors import DatasetError
from schemas.manifest import HELDOUT, TRAIN
from schemas.samples import RowFormat

_MODEL_ROWS, _COUNT_ROWS = 16, 4096


@dataclass(frozen=True)
class ObjectiveLoss:
    """`loss` is the mean of -log p(label) in nats over `num_labels` labels."""

    loss: float
    num_labels: int


def heldout_losses(
    model: GLM, dataset: Dataset, split: str = HELDOUT, max_rows: int | None = None
) -> dict[str, ObjectiveLoss]:
    """Loss of `model`, without dropout and in its own type, by name of objective.

    With `max_rows`, so many rows spread evenly over the split are read. Objectives without labels
    are left out. `DatasetError` when the split has no rows.
    """
    row_format = dataset.row_format
    sums = torch.zeros(len(row_format.objectives) + 1, 2, dtype=torch.float64, device=model.device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for rows in _rows(dataset, split, max_rows, _MODEL_ROWS):
            check_positions(rows, row_format, model.config)
            batch = to_device(rows, row_format, model.device)
            hidden_BLM = model(batch.tokens, batch.positions, batch.block_positions, batch.layout)
            losses = token_losses(model, hidden_BLM, batch.labels)
            samples = losses_by_sample(losses, batch)
            sums += losses_by_objective(samples, batch, len(row_format.objectives))
    model.train(was_training)
    return _named(row_format, sums.cpu().numpy())


def unigram_losses(
    dataset: Dataset, split: str = HELDOUT, max_rows: int | None = None
) -> dict[str, ObjectiveLoss]:
    """Loss of the add-one unigram of each objective on the labels that `heldout_losses` takes.

    With c(v) the count of label v among the training labels of an objective, n their number and V
    the size of the tokenizer's vocabulary, p(v) = (c(v) + 1) / (n + V). Reads every training row.
    """
    heldout = _label_counts(dataset, split, max_rows)
    training = _label_counts(dataset, TRAIN, None)
    vocab_size = training.shape[1]
    probabilities = (training + 1) / (training.sum(axis=1, keepdims=True) + vocab_size)
    sums = -(heldout * np.log(probabilities)).sum(axis=1)
    return _named(dataset.row_format, np.stack((sums, heldout.sum(axis=1)), axis=1))


def _label_counts(dataset: Dataset, split: str, max_rows: int | None) -> NDArray[np.int64]:
    """How often each token is a label, (objectives + 1, V), by objective code."""
    row_format = dataset.row_format
    vocab_size = int(dataset.manifest.tokenizer["vocab_size"])
    counts = np.zeros((len(row_format.objectives) + 1) * vocab_size, np.int64)
    for rows in _rows(dataset, split, max_rows, _COUNT_ROWS):
        labels_BL = rows[:, row_format.slices["labels"]].astype(np.int64)
        labelled_BL = labels_BL != row_format.ignore
        codes = _objectives(rows, row_format)[labelled_BL]
        counts += np.bincount(codes * vocab_size + labels_BL[labelled_BL], minlength=len(counts))
    return counts.reshape(-1, vocab_size)


def _objectives(rows: NDArray[Any], row_format: RowFormat) -> NDArray[np.int64]:
    """(B, L): objective code of each token, 0 for padding."""
    slices = row_format.slices
    lengths = rows[:, slices["lengths"]].astype(np.int64)
    padding = row_format.row_tokens - lengths.sum(axis=1, keepdims=True)
    codes = np.pad(rows[:, slices["objectives"]].astype(np.int64), ((0, 0), (0, 1)))
    repeated = np.repeat(codes.ravel(), np.hstack((lengths, padding)).ravel())
    return repeated.reshape(len(rows), row_format.row_tokens)


def _rows(
    dataset: Dataset, split: str, max_rows: int | None, batch_rows: int
) -> Iterator[NDArray[Any]]:
    num_rows = dataset.num_rows(split)
    if not num_rows:
        raise DatasetError(
            f"{dataset.name}: no rows in split '{split}'; build with a larger "
            "build.heldout_ratio or from more documents"
        )
    count = num_rows if max_rows is None else min(max_rows, num_rows)
    numbers = np.arange(count) * num_rows // max(1, count)
    reader = dataset.reader(split)
    try:
        for start in range(0, count, batch_rows):
            yield reader.gather(numbers[start : start + batch_rows])
    finally:
        reader.close()


def _named(row_format: RowFormat, sums: NDArray[Any]) -> dict[str, ObjectiveLoss]:
    return {
        name: ObjectiveLoss(float(loss / count), int(count))
        for name, (loss, count) in zip(row_format.objectives, sums[1:], strict=True)
        if count
    }
