"""Records: the first that is committed stands, unless it is damaged or cannot be right."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.records import commit_record, read_record, unbuilt
from pipeline.stores.local import LocalStore
from schemas.errors import DatasetError
from schemas.manifest import FileHashes, StoredFile
from schemas.names import record_name
from schemas.record import Exclusion, ItemRecord
from tests.fake_work import item, items

ITEM = item(7)
LEFT_OUT = Exclusion("d", "x.jsonl", 3, 5, "killed_worker", "its worker process died")
DOCUMENTS = StoredFile("documents/x.arrow", FileHashes(1, "2" * 64, (0, 1), (3,)))
RECORD = ItemRecord(
    item=ITEM.id,
    slice=7,
    pass_number=0,
    shards=(),
    documents=DOCUMENTS,
    quarantine=None,
    excluded=(),
    counts={"documents": 9},
    statistics={},
)
SHORTER = replace(RECORD, excluded=(LEFT_OUT,), counts={"documents": 8, "bad.killed_worker": 1})


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_a_record_that_is_committed_can_be_read(store: LocalStore) -> None:
    assert read_record(store, ITEM) is None
    assert commit_record(store, ITEM, RECORD) == RECORD
    assert read_record(store, ITEM) == RECORD
    assert commit_record(store, ITEM, RECORD) == RECORD


@pytest.mark.parametrize(("first", "second"), [(RECORD, SHORTER), (SHORTER, RECORD)])
def test_of_two_that_leave_out_other_documents_the_first_stands(
    store: LocalStore, first: ItemRecord, second: ItemRecord
) -> None:
    commit_record(store, ITEM, first)
    content = store.read(record_name(ITEM))
    assert commit_record(store, ITEM, second) == first
    assert store.read(record_name(ITEM)) == content


def test_other_bytes_of_the_same_documents_are_an_error_with_causes_and_remedy(
    store: LocalStore,
) -> None:
    commit_record(store, ITEM, SHORTER)
    other = replace(SHORTER, counts={"documents": 5})
    message = (
        r"00007.*other bytes, from the same documents \(counts differ\).*versions.*changed while"
        r".*memory.*install the same versions everywhere, run the same command again"
    )
    with pytest.raises(DatasetError, match=message):
        commit_record(store, ITEM, other)
    assert read_record(store, ITEM) == SHORTER


@pytest.mark.parametrize("content", [b"", b"{}", replace(RECORD, item="z").to_json().encode()])
def test_a_damaged_record_or_one_of_another_item_is_replaced(
    store: LocalStore, content: bytes
) -> None:
    store.replace(record_name(ITEM), content)
    assert read_record(store, ITEM) is None
    assert commit_record(store, ITEM, RECORD) == RECORD
    assert read_record(store, ITEM) == RECORD


def test_items_with_a_record_are_built(store: LocalStore) -> None:
    commit_record(store, ITEM, RECORD)
    left = [one.slice.number for one in unbuilt(store, items(2000))]
    assert left == [number for number in range(2000) if number != 7]
