"""A sample of a build: which items it takes, and what it says of the others."""

from collections import Counter
from pathlib import Path

import pytest

from jobs.build_sample import SAMPLE_ITEMS, Pending, Sample, build_sample, forecast
from pipeline.build import BuildContext
from pipeline.stores.local import LocalStore
from schemas.plan import Slice, SourceRange, WorkItem, work_item


def item(number: int, size: int, pass_number: int = 0) -> WorkItem:
    part = SourceRange("a", 0, size, f"{(number * 7919) % 101:032x}")
    return work_item("recipe", 0, pass_number, Slice(number, (part,)))


def pending_of(items: list[WorkItem]) -> Pending:
    pending = Pending()
    assert list(pending.through(iter(items))) == items
    return pending


def test_the_sample_is_of_the_first_pass_in_the_order_of_hashes() -> None:
    items = [item(number, 5, pass_number) for pass_number in (0, 1) for number in range(50)]
    pending = pending_of(items)
    assert (pending.items, pending.source_bytes, pending.first_pass_bytes) == (100, 500, 250)
    first = sorted(range(50), key=lambda number: (number * 7919) % 101)[:SAMPLE_ITEMS]
    assert [one.slice.number for one in pending.chosen()] == first
    assert {one.pass_number for one in pending.chosen()} == {0}


@pytest.mark.parametrize(("size", "count"), [(20_000_000, 1), (8_000_000, 2), (7_000_000, 3)])
def test_no_further_item_is_sampled_once_enough_input_was(size: int, count: int) -> None:
    pending = pending_of([item(number, size) for number in range(5)])
    assert len(pending.chosen()) == count
    assert pending.largest_bytes == size


def test_everything_is_in_proportion_to_the_bytes_and_heldout_rows_to_the_first_pass() -> None:
    pending = pending_of([item(number, 10, pass_) for pass_ in (0, 1) for number in range(10)])
    counts = {"train.rows": 30, "heldout.rows": 4, "documents": 9, "documents.tokens": 100}
    sample = Sample(pending.chosen()[:2], 500, 8.0, Counter(counts | {"bad.no_text": 1}))
    found = forecast(pending, sample, workers=4)
    assert found
    assert found.rows == {"train": 300, "heldout": 20}
    assert (found.disk_bytes, found.tokens) == (5000, 1000)
    assert (found.worker_seconds, found.seconds) == (80.0, 20.0)
    assert (found.sampled_items, found.sampled_documents, found.sampled_bad) == (2, 9, 1)
    assert not found.is_exact


def test_more_workers_than_items_are_no_faster_than_the_largest_item() -> None:
    pending = pending_of([item(0, 10), item(1, 30)])
    sample = Sample([item(0, 10)], 1, 2.0)
    found = forecast(pending, sample, workers=100)
    assert found
    assert (found.worker_seconds, found.seconds) == (8.0, 6.0)


def test_an_item_that_fails_for_one_of_its_documents_is_noted_and_left_out(tmp_path: Path) -> None:
    context = BuildContext(str(tmp_path), {}, {})
    pending = pending_of([item(0, 10)])
    sample = build_sample(context, pending.chosen(), LocalStore(tmp_path), tmp_path / "warm")
    assert sample.items == []
    assert sample.failures == ["pass-0000/00000/00000000: KeyError: 'a'"]
    assert forecast(pending, sample, 1) is None
