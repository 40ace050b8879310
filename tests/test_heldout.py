"""Held-out losses: those of a slow obvious loop, and comparable with the unigram's."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.heldout import ObjectiveLoss, heldout_losses, unigram_losses
from model.attention import Layout
from model.init import initialize
from model.loss import token_losses
from model.transformer import GLM
from pipeline.dataset import Dataset, open_dataset
from pipeline.packing import decode_row
from schemas.errors import ConfigError, DatasetError
from schemas.model_config import ModelConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample
from tests.datasets import write_dataset

SIZES = ModelConfig(
    num_layers=1, hidden_size=16, num_attention_heads=2, max_sequence_length=64, vocab_size=512
)


@pytest.fixture(scope="module")
def dataset(built: Path) -> Dataset:
    return open_dataset(built)


@pytest.fixture(scope="module")
def model() -> GLM:
    """In training mode, where dropout would change the losses if it were not turned off."""
    model = GLM(SIZES)
    initialize(model, 3)
    return model.train()


def samples(dataset: Dataset, split: str) -> list[Sample]:
    rows = dataset.reader(split).gather(np.arange(dataset.num_rows(split)))
    return [sample for row in rows for sample in decode_row(row, dataset.row_format)]


def labels(dataset: Dataset, split: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {name: [] for name in dataset.row_format.objectives}
    for sample in samples(dataset, split):
        name = dataset.row_format.objectives[sample.objective - 1]
        found[name] += [label for label in sample.labels.tolist() if label != IGNORE_INDEX]
    return found


def loss_of_sample(model: GLM, sample: Sample) -> torch.Tensor:
    columns = [sample.tokens, sample.positions, sample.block_positions, sample.labels]
    tokens, positions, blocks, wanted = (torch.from_numpy(c).long()[None] for c in columns)
    layout = Layout.single(len(sample.tokens), sample.boundary, torch.device("cpu"))
    with torch.no_grad():
        return token_losses(model, model(tokens, positions, blocks, layout), wanted).losses


def test_the_model_s_losses_are_those_of_its_samples_one_by_one(
    model: GLM, dataset: Dataset
) -> None:
    found = heldout_losses(model, dataset)
    assert model.training
    model.eval()
    losses: dict[str, list[float]] = {}
    for sample in samples(dataset, "heldout"):
        name = dataset.row_format.objectives[sample.objective - 1]
        losses.setdefault(name, []).extend(loss_of_sample(model, sample).tolist())
    model.train()
    assert found.keys() == losses.keys() == {"blank", "document", "sentence"}
    for name, values in losses.items():
        assert found[name].num_labels == len(values)
        assert found[name].loss == pytest.approx(sum(values) / len(values), rel=1e-5)


def test_the_unigram_is_add_one_over_the_training_labels(dataset: Dataset) -> None:
    vocab_size = dataset.manifest.tokenizer["vocab_size"]
    training, heldout = labels(dataset, "train"), labels(dataset, "heldout")
    found = unigram_losses(dataset)
    for name, wanted in heldout.items():
        counts, total = Counter(training[name]), len(training[name])
        loss = -sum(math.log((counts[v] + 1) / (total + vocab_size)) for v in wanted)
        assert found[name].num_labels == len(wanted)
        assert found[name].loss == pytest.approx(loss / len(wanted), rel=1e-12)


def test_both_sides_count_the_same_labels_end_tokens_among_them(
    model: GLM, dataset: Dataset
) -> None:
    model_side, unigram_side = heldout_losses(model, dataset), unigram_losses(dataset)
    assert {name: loss.num_labels for name, loss in model_side.items()} == {
        name: loss.num_labels for name, loss in unigram_side.items()
    }
    end = dataset.manifest.tokenizer["special"]["end"]
    assert all(end in wanted for wanted in labels(dataset, "heldout").values())


def test_fewer_rows_are_spread_over_the_split(model: GLM, dataset: Dataset) -> None:
    def total(losses: dict[str, ObjectiveLoss]) -> int:
        return sum(loss.num_labels for loss in losses.values())

    everything, few = heldout_losses(model, dataset), heldout_losses(model, dataset, max_rows=3)
    assert 0 < total(few) < total(everything)
    assert total(unigram_losses(dataset, max_rows=3)) == total(few)
    assert heldout_losses(model, dataset, max_rows=10**6) == everything


def test_the_training_split_can_be_measured_too(model: GLM, dataset: Dataset) -> None:
    found = heldout_losses(model, dataset, split="train", max_rows=4)
    assert all(loss.loss == pytest.approx(math.log(512), rel=0.05) for loss in found.values())


def test_a_data_set_without_held_out_rows_is_refused(tmp_path: Path, model: GLM) -> None:
    empty = open_dataset(write_dataset(tmp_path / "data", heldout=0))
    with pytest.raises(DatasetError, match="no rows in split 'heldout'; build with a larger"):
        heldout_losses(model, empty)
    with pytest.raises(DatasetError, match="no rows in split 'heldout'; build with a larger"):
        unigram_losses(empty)


def test_a_model_with_too_few_positions_is_refused(dataset: Dataset) -> None:
    small = GLM(ModelConfig(num_layers=1, hidden_size=16, num_attention_heads=2,
                            max_sequence_length=20, vocab_size=512))  # fmt: skip
    with pytest.raises(ConfigError, match="max_sequence_length=20: a row has position"):
        heldout_losses(small, dataset)
