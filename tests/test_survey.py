"""The survey of a data set: what it adds up, what it finds lost, which ids it shows repeated."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.fake_records import FakeStore
from benchmarks.fake_work import built_record
from jobs.build import BuildRequest, build_dataset
from pipeline import document_table, item_builder, survey, unique
from pipeline.records import read_record
from pipeline.survey import Survey
from schemas.errors import CorruptDataError, InputError
from schemas.manifest import StoredFile
from schemas.plan import Slice, SourceRange, WorkItem, work_item
from schemas.record import ItemRecord
from tests.corpus import NoProgress, small_config

WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> ItemRecord:
    return built_record(tmp_path_factory.mktemp("template") / "built")[1]


@pytest.fixture
def store(tmp_path: Path, template: ItemRecord) -> FakeStore:
    return FakeStore(tmp_path, template, 6)


def items(count: int, passes: int = 1) -> list[WorkItem]:
    slices = [Slice(number, (SourceRange("a", 0, 1, "0" * 32),)) for number in range(count)]
    return [work_item("recipe", 0, one, slice_) for one in range(passes) for slice_ in slices]


def surveyed(store: FakeStore, known: list[WorkItem]) -> Iterator[Survey]:
    with Survey(store) as found:
        found.take(store.known(iter(known)))
        yield found


def test_several_threads_find_what_one_finds(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for threads in (1, 8):
        monkeypatch.setattr(survey, "reading_threads", lambda _, number=threads: number)
        for one in surveyed(store, items(50)):
            repeated = [block.tolist() for block in one.texts.repeated()]
            found.append((one.counts, one.rows, list(one.entries()), one.content_digest, repeated))
    assert found[0] == found[1]
    assert len(found[0][-1][0]) == 50 * 3


def test_documents_are_counted_in_the_first_pass_alone(store: FakeStore) -> None:
    for one in surveyed(store, items(20, passes=3)):
        assert one.ids.num_repeats() == 0
        assert one.texts.num_repeats() == 20 * 3


def test_the_splits_come_one_after_another_or_as_asked_for(store: FakeStore) -> None:
    for one in surveyed(store, items(5)):
        train, heldout = (list(one.entries([split])) for split in ("train", "heldout"))
        assert train
        assert heldout
        assert list(one.entries()) == train + heldout
        assert list(one.entries(("heldout", "train"))) == heldout + train


def test_the_first_lost_items_are_named_and_all_are_counted(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "LOST_KEPT", 4)
    known, lost = items(30), {3, 4, 9, 11, 20, 29}
    monkeypatch.setattr(
        survey,
        "read_record",
        lambda store, item: None if item.slice.number in lost else read_record(store, item),
    )
    for one in surveyed(store, known):
        assert [item.slice.number for item in one.lost] == [3, 4, 9, 11]
        assert one.num_lost == 6


@pytest.mark.parametrize("threads", [1, 8])
def test_a_damaged_table_of_documents_is_an_error_that_names_it(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(survey, "reading_threads", lambda _: threads)
    monkeypatch.setattr(store, "_write_documents", _damaged(store))
    with pytest.raises(CorruptDataError, match=r"00000007\.documents: record batch 0 .*is damaged"):
        next(surveyed(store, items(10)))


def _damaged(store: FakeStore) -> Callable[[int, Path], StoredFile]:
    write = store._write_documents

    def write_documents(number: int, path: Path) -> StoredFile:
        stored = write(number, path)
        if number == 7:
            start = stored.hashes.offsets[2] - 4
            content = path.read_bytes()
            path.write_bytes(content[:start] + b"\xff" * 4 + content[start + 4 :])
        return stored

    return write_documents


def few_hashes(document_id: str) -> int:
    """Two ids have each hash, save one that is alone."""
    return 1000 - int(document_id) // 2


def built_with(ids: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build documents of these ids, whose hashes tell little, looking for two at a time."""
    for module in (document_table, item_builder):
        monkeypatch.setattr(module, "id_hash", few_hashes)
    monkeypatch.setattr(unique, "REPEATED_BLOCK", 2)
    lines = (json.dumps({"id": str(number), "text": WORDS * 8}) for number in ids)
    (folder / "x.jsonl").write_text("\n".join(lines) + "\n")
    build_dataset(
        BuildRequest(small_config(), [folder / "x.jsonl"], folder / "d", "serial", 1), NoProgress()
    )


def test_ids_of_one_hash_that_differ_are_no_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_with([*range(0, 40, 2), *range(1, 40, 2)], tmp_path, monkeypatch)
    assert (tmp_path / "d" / "manifest.json").exists()


@pytest.mark.parametrize("twice", [0, 20, 39])
def test_ids_of_one_hash_do_not_hide_one_that_occurs_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: int
) -> None:
    ids = [*range(0, 40, 2), *range(1, 40, 2)]
    ids = [twice, *ids] if twice == 39 else [*ids, twice]
    with pytest.raises(InputError, match=f"id '{twice}' occurs twice, at work item 0 .*item [1-9]"):
        built_with(ids, tmp_path, monkeypatch)
