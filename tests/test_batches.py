"""Batches on a device: the numbers of the shards, widened, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from jobs.batches import TorchRows, check_positions, to_device
from pipeline.dataset import open_dataset
from pipeline.packing import decode_row
from pipeline.stream import RowStream
from schemas.errors import ConfigError, UserError
from schemas.model_config import ModelConfig
from schemas.objectives import IGNORE_INDEX
from tests.datasets import write_dataset

CPU = torch.device("cpu")


def first_rows(dataset: Path, count: int) -> np.ndarray:
    reader = open_dataset(dataset).reader("train")
    return reader.gather(np.arange(count))


def test_a_batch_holds_the_samples_of_its_rows(built: Path) -> None:
    row_format, rows = open_dataset(built).row_format, first_rows(built, 20)
    batch = to_device(rows, row_format, CPU)
    for row, values in enumerate(rows):
        first = 0
        for place, sample in enumerate(decode_row(values, row_format)):
            inside = slice(first, first + len(sample.tokens))
            first = inside.stop
            for name in ("tokens", "labels", "positions", "block_positions"):
                found = getattr(batch, name)[row, inside]
                assert found.dtype == torch.int64
                assert found.tolist() == getattr(sample, name).tolist()
            assert batch.layout.lengths[row, place] == len(sample.tokens)
            assert batch.layout.boundaries[row, place] == sample.boundary
            assert batch.objectives[row, place] == sample.objective
        assert (batch.labels[row, first:] == IGNORE_INDEX).all()


def test_every_label_knows_its_sample(built: Path) -> None:
    row_format, rows = open_dataset(built).row_format, first_rows(built, 20)
    batch = to_device(rows, row_format, CPU)
    indices = (batch.labels.flatten() != IGNORE_INDEX).nonzero().squeeze(1)
    expected = [
        number * (row_format.max_samples + 1) + place
        for number, row in enumerate(rows)
        for place, sample in enumerate(decode_row(row, row_format))
        for label in sample.labels.tolist()
        if label != IGNORE_INDEX
    ]
    assert batch.samples_at(indices).tolist() == expected


def test_padding_belongs_to_no_sample(built: Path) -> None:
    row_format = open_dataset(built).row_format
    batch = to_device(first_rows(built, 20), row_format, CPU)
    places = batch.samples_at(torch.arange(batch.tokens.numel())).view(20, -1)
    in_padding = torch.arange(row_format.row_tokens) >= batch.layout.lengths.sum(1, keepdim=True)
    last = places % (row_format.max_samples + 1) == row_format.max_samples
    assert torch.equal(last, in_padding)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_a_gpu_widens_rows_as_the_cpu_does(built: Path, dtype: str) -> None:
    narrow = open_dataset(built).row_format
    row_format = replace(narrow, dtype=dtype)
    rows = first_rows(built, 20).astype(np.uint32)
    labels = rows[:, narrow.slices["labels"]]
    labels[labels == narrow.ignore] = row_format.ignore
    expected = to_device(rows.astype(dtype), row_format, CPU)
    found = to_device(rows.astype(dtype), row_format, torch.device("cuda"))
    for name in ("tokens", "labels", "positions", "block_positions", "objectives"):
        assert torch.equal(getattr(found, name).cpu(), getattr(expected, name))
    indices = torch.arange(found.tokens.numel())
    places = found.samples_at(indices.cuda()).cpu()
    assert torch.equal(places, expected.samples_at(indices))


@pytest.mark.parametrize("name", ["positions", "block_positions"])
def test_positions_beyond_the_model_are_refused(built: Path, name: str) -> None:
    row_format, rows = open_dataset(built).row_format, first_rows(built, 4)
    check_positions(rows, row_format, ModelConfig(max_sequence_length=64))
    rows[2, row_format.slices[name].start + 3] = 65
    with pytest.raises(ConfigError, match="max_sequence_length=64: a row has position 65; train"):
        check_positions(rows, row_format, ModelConfig(max_sequence_length=64))


def test_other_trainers_get_the_stream_as_tensors(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    with RowStream(folder, batch_rows=6, epochs=1) as plain:
        expected = [batch.rows for batch in plain]
    with RowStream(folder, batch_rows=6, epochs=1) as stream:
        loader = DataLoader(TorchRows(stream), batch_size=None)
        found = [
            torch.cat([part for name, part in batch.items() if name != "labels"], dim=1)
            for batch in loader
        ]
        ignored = stream.row_format.slices["labels"]
    without_labels = [np.delete(rows, np.r_[ignored], axis=1) for rows in expected]
    assert [rows.tolist() for rows in found] == [rows.tolist() for rows in without_labels]


def test_the_torch_rows_go_on_from_their_state(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    with RowStream(folder, batch_rows=6) as stream, RowStream(folder, batch_rows=6) as other:
        rows, resumed = TorchRows(stream), TorchRows(other)
        iterator = iter(rows)
        next(iterator)
        resumed.load_state_dict(rows.state_dict())
        assert torch.equal(next(iterator)["tokens"], next(iter(resumed))["tokens"])


def test_workers_that_would_repeat_rows_are_refused(tmp_path: Path) -> None:
    with RowStream(write_dataset(tmp_path / "data")) as stream:
        loader = DataLoader(TorchRows(stream), batch_size=None, num_workers=1)
        with pytest.raises(UserError, match="use num_workers=0"):
            next(iter(loader))
