import errno
import os

import numpy as np
import pytest

from pipeline.dataset import open_dataset
from pipeline.given_data import open_mixture
from schemas.errors import DatasetError, UserError
from schemas.manifest import HELDOUT, TRAIN
from schemas.names import MANIFEST_NAME
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


@pytest.mark.parametrize("place", ["a\0b", "half \ud800 of a character", 7, b"bytes", None])
def test_what_is_no_place_is_refused(place):
    with pytest.raises(UserError, match=r"data sets .* expected \{folder or URL: weight\}"):
        open_mixture(place, TRAIN)


@pytest.mark.parametrize("place", ["file:///a%00b", "http://[::1"])
def test_a_url_that_names_nothing_is_refused(place):
    with pytest.raises(DatasetError, match=r"a.x00b|no URL \(Invalid IPv6 URL\)"):
        open_mixture(place, TRAIN)


def test_a_name_that_is_too_long_is_of_no_folder():
    with pytest.raises(DatasetError, match="nnn: no such folder; expected a data set"):
        open_mixture("n" * 300, TRAIN)


def test_a_folder_that_may_not_be_looked_into_is_named(path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        DatasetError, match=r"manifest.json: cannot be read \(Perm.*; ask its owner"
    ):
        open_mixture(path, TRAIN)


def test_a_data_set_without_rows_in_the_split_is_refused(path):
    with pytest.raises(DatasetError, match="no rows in split 'heldout'"):
        open_mixture(path, HELDOUT)


@pytest.mark.parametrize(
    "weight",
    [
        0,
        -1,
        float("nan"),
        float("inf"),
        10**400,
        "1",
        True,
        None,
        1j,
        np.complex64(1),
        np.timedelta64(1),
    ],
)
def test_a_weight_that_is_not_above_zero_is_refused(shared, weight):
    with pytest.raises(UserError, match="expected a number above 0, at most"):
        open_mixture({shared: weight}, TRAIN)


@pytest.mark.parametrize(
    "datasets", [{}, [], ["web", "books"], None, 3, {"web", "books"}, {3: 1.0}, "a\0b", {None: 1}]
)
def test_what_is_no_mixture_is_refused(datasets):
    with pytest.raises(UserError, match=r"expected \{folder or URL: weight\}, or one of them"):
        open_mixture(datasets, TRAIN)


def test_data_sets_that_were_opened_before_are_taken_as_they_are(shared, path):
    first, second = open_dataset(shared), open_dataset(path)
    (path / MANIFEST_NAME).unlink()
    ((only, weight),) = open_mixture(first, TRAIN)
    assert only is first
    assert weight == 1.0
    mixed = dict(open_mixture({first: 1, second: 3}, TRAIN))
    assert mixed == {first: 1.0, second: 3.0}
    with pytest.raises(DatasetError, match="the same data set twice"):
        open_mixture({first: 1, shared: 1}, TRAIN)
