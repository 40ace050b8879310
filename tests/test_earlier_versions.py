"""Going back to an earlier version of a data set, or over to another growth of it, is refused."""

import json
import shutil
from dataclasses import replace

import pytest

from pipeline.dataset import open_dataset
from pipeline.orders.visits import Visits
from pipeline.stream import RowStream
from pipeline.versions import Lineage
from schemas.errors import DatasetError
from tests.grown_datasets import write_versions
from tests.sources import GivenVersions, segment, version_of
from tests.streams import read


@pytest.fixture
def versions(tmp_path):
    """A data set of 3 shards, what it has grown to, and to what it might have grown instead."""
    first, grown = write_versions(tmp_path / "data", 3, 8)
    again, otherwise = write_versions(tmp_path / "other", 3, 9)
    assert open_dataset(first).digest == open_dataset(again).digest
    return first, grown, otherwise


def state_behind(folder, rows, **arguments):
    with RowStream(folder, rows, **arguments) as stream:
        next(stream)
        return json.loads(json.dumps(stream.state()))


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("given", ["first", "otherwise"])
def test_a_state_of_a_later_version_is_refused(versions, given, change):
    first, grown, otherwise = versions
    state = state_behind(grown, 7)
    folder = {"first": first, "otherwise": otherwise}[given]
    named = f"{open_dataset(grown).digest[:12]}, which has"
    with pytest.raises(DatasetError, match=rf"{folder}: .* {named} .* twice; give the version"):
        RowStream(folder, state=state, change=change)


def test_a_version_may_come_later_but_not_go_again(versions):
    first, grown, _ = versions
    state = state_behind(first, 7)
    state = state_behind(grown, 7, state=state, change=True)
    with pytest.raises(DatasetError, match="would come twice"):
        RowStream(first, state=state, change=True)
    with RowStream(grown, state=state) as stream:
        assert stream.state() == state


def test_a_state_names_what_a_data_set_has_grown_from(versions):
    first, grown, otherwise = versions
    digests = [open_dataset(folder).digest for folder in versions]
    assert "grown_from" not in state_behind(first, 7)["segments"][0]
    for folder, digest in ((grown, digests[1]), (otherwise, digests[2])):
        assert state_behind(folder, 7)["segments"][0]["grown_from"] == {digest: digests[0]}


def test_a_data_set_without_its_manifests_names_none(versions):
    _, grown, _ = versions
    state = state_behind(grown, 7)
    shutil.rmtree(grown / "manifests")
    assert "grown_from" not in state_behind(grown, 7)["segments"][0]
    assert len(read(grown, 2, state=state)) == 2


@pytest.mark.parametrize("grown_from", [3, ["a"], {"another": "b"}, {"DIGEST": 5}])
def test_what_says_nothing_of_a_growth_is_no_state(versions, grown_from):
    state = state_behind(versions[0], 7)
    (digest,) = state["segments"][0]["datasets"]
    if isinstance(grown_from, dict):
        grown_from = {digest if name == "DIGEST" else name: v for name, v in grown_from.items()}
    state["segments"][0]["grown_from"] = grown_from
    with pytest.raises(DatasetError, match="not a state of a stream"):
        RowStream(versions[0], state=state)


def test_a_history_that_went_back_is_not_followed_with_the_later_version():
    small, large = version_of("small", [3, 4]), version_of("large", [3, 4, 5])
    segments = [segment(0, {"large": 1.0}), segment(5, {"small": 1.0})]
    with pytest.raises(DatasetError, match="row 5 on goes back to small, an earlier version of da"):
        Visits(segments, [GivenVersions(large, small)])
    Visits(segments, [GivenVersions(small)]).check_given(5)


def test_what_one_segment_knows_of_a_growth_holds_for_all(versions):
    first, grown, _ = versions
    state = state_behind(grown, 7)
    shutil.rmtree(grown / "manifests")
    state = state_behind(grown, 7, state=state, change=True, seed=9)
    assert ["grown_from" in one for one in state["segments"]] == [True, False]
    with pytest.raises(DatasetError, match="would come twice"):
        RowStream(first, state=state, change=True)


def test_a_version_of_which_nothing_was_read_may_go_again(versions):
    first, grown, _ = versions
    state = state_behind(first, 7)
    with RowStream(grown, state=state, change=True) as stream:
        unread = stream.state()
    with RowStream(first, state=unread, change=True) as stream:
        assert stream.state() == state


def test_a_damaged_manifest_of_before_is_none(versions):
    grown = versions[1]
    (grown / "manifests" / "0000.json").write_text("{", encoding="utf-8")
    assert "grown_from" not in state_behind(grown, 7)["segments"][0]


def test_a_version_without_rows_of_the_split_has_been_there(versions):
    digest, lineage = open_dataset(versions[0]).digest, Lineage(open_dataset(versions[1]), "train")
    assert lineage.was(digest)
    lineage._versions[digest] = replace(lineage._versions[digest], rows={"train": 0, "heldout": 3})
    assert (lineage.was(digest), lineage.has_been(digest)) == (False, True)
