"""Facts of a data set are told under the names that everything else has for them."""

from pathlib import Path

from jobs.progress.dataset_facts import read_finished_facts
from pipeline.dataset import open_dataset
from pipeline.stores.local import LocalStore
from tests.datasets import write_dataset


def test_the_digest_is_that_by_which_streams_and_states_know_the_data_set(tmp_path: Path) -> None:
    dataset = open_dataset(write_dataset(tmp_path / "d"))
    found = read_finished_facts(LocalStore(tmp_path / "d"))
    assert found is not None
    assert (found.digest, found.content_digest) == (dataset.digest, "content")
