import pytest

from pipeline.given_data import open_mixture
from schemas.errors import DatasetError, UserError
from schemas.manifest import HELDOUT, TRAIN
from schemas.samples import RowFormat
from tests.datasets import write_dataset


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("shared"), heldout=4)


@pytest.fixture
def path(tmp_path):
    return write_dataset(tmp_path / "dataset")


def test_a_url_needs_a_cache():
    with pytest.raises(UserError, match=r"memory://d: .* give a folder for it, cache=FOLDER"):
        open_mixture("memory://d", TRAIN)


def test_a_mixture_is_ordered_by_digest_however_it_is_given(shared, path):
    forward = open_mixture({shared: 1, str(path): 2.5}, TRAIN)
    backward = open_mixture({str(path): 2.5, shared: 1}, TRAIN)
    digests = [(dataset.digest, weight) for dataset, weight in forward]
    assert digests == [(dataset.digest, weight) for dataset, weight in backward]
    assert digests == sorted(digests)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tokenizer": "b"}, "tokenizer.model_sha256"),
        ({"row_format": RowFormat(32, 2, "uint16", ("blank",))}, "row_tokens"),
        ({"row_format": RowFormat(16, 2, "uint32", ("blank",))}, "dtype"),
        ({"row_format": RowFormat(16, 2, "uint16", ("blank", "document"))}, "objectives"),
    ],
)
def test_data_sets_whose_rows_differ_are_refused_together(shared, tmp_path, change, named):
    other = write_dataset(tmp_path / "other", **change)
    with pytest.raises(DatasetError, match=f"cannot be mixed, their rows differ in .*{named}") as e:
        open_mixture({shared: 1, other: 1}, TRAIN)
    assert str(shared) in str(e.value)
    assert str(other) in str(e.value)


def test_the_same_data_set_twice_is_refused(shared, tmp_path):
    with pytest.raises(DatasetError, match="the same data set twice"):
        open_mixture({shared: 1, f"{shared}/.": 1}, TRAIN)


def test_a_data_set_without_rows_in_the_split_is_refused(path):
    with pytest.raises(DatasetError, match="no rows in split 'heldout'"):
        open_mixture(path, HELDOUT)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "1", True, None])
def test_a_weight_that_is_not_above_zero_is_refused(shared, weight):
    with pytest.raises(UserError, match="expected a number above 0, at most"):
        open_mixture({shared: weight}, TRAIN)


def test_no_data_set_at_all_is_refused():
    with pytest.raises(UserError, match=r"data sets \{\}: expected \{folder or URL: weight\}"):
        open_mixture({}, TRAIN)
