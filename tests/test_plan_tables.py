"""The plan and its tables: append-only, in table order, found whatever the number of ranges."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import plan_tables
from pipeline.plan_tables import PlanReader, PlanTablesWriter
from pipeline.stores.local import LocalStore
from schemas.config import digest
from schemas.errors import CorruptDataError, DatasetError
from schemas.plan import InputFile, NewSlices, Plan, Slice, SourceRange, WorkItem
from schemas.samples import SCHEMA_VERSION
from tests.datasets import flip

XXH3 = "0123456789abcdef" * 2


def tables_of(store: LocalStore, groups: list[str], first_slice: int = 0) -> NewSlices | None:
    """One slice per text, one range of ten bytes per letter of it, the input's name."""
    writer = PlanTablesWriter(store, first_slice)
    for name in sorted(set("".join(groups))):
        writer.add_input(InputFile(name, 10, "ab" * 32))
    return writer.write(tuple(SourceRange(name, 0, 10, XXH3) for name in group) for group in groups)


def plan_of(store: LocalStore, names: str, passes: int, plan: Plan | None = None) -> Plan:
    plan = plan or Plan({"seed": 1})
    return plan.grow(tables_of(store, list(names), plan.num_slices) if names else None, passes)


def items_of(store: LocalStore, plan: Plan) -> list[WorkItem]:
    with PlanReader(store, plan) as reader:
        return list(reader.items())


def test_a_plan_only_appends_when_it_grows(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    small = plan_of(store, "ab", 2)
    large = plan_of(store, "c", 3, small)
    old, items = items_of(store, small), items_of(store, large)
    assert items[:4] == old
    assert [item.name for item in items[4:]] == [
        f"pass-{pass_number:04d}/00000/{number:08d}"
        for pass_number, number in [(2, 0), (2, 1), (0, 2), (1, 2), (2, 2)]
    ]
    assert len({item.id for item in items}) == len(items) == large.num_items


def test_a_plan_that_does_not_grow_keeps_its_bytes(tmp_path: Path) -> None:
    tokenizer = {"vocab_size": 500, "model_sha256": "ab"}
    sizes = {"row_tokens": 64, "max_samples": 4}
    build = {**sizes, "shard_format": "arrow", "objective": {"blank": {"kind": "blank"}}}
    recipe = {"build": build, "tokenizer": tokenizer, "splitter_sha256": "cd"}
    plan = plan_of(LocalStore(tmp_path), "ab", 2, Plan(recipe))
    assert plan.grow(None, 2).to_json() == plan.to_json()
    assert Plan.from_json(plan.to_json(), "x") == plan


def test_a_plan_never_shrinks(tmp_path: Path) -> None:
    plan = plan_of(LocalStore(tmp_path), "ab", 2)
    with pytest.raises(DatasetError, match="fewer than the 2 passes already planned"):
        plan.grow(None, 1)


def test_an_item_is_its_recipe_its_content_and_its_pass(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    base = items_of(store, plan_of(store, "a", 1))[0]
    other = items_of(store, plan_of(store, "a", 1, Plan({"seed": 2})))[0]
    again = items_of(store, plan_of(store, "a", 2))
    assert items_of(store, plan_of(store, "b", 1))[0].id != base.id
    assert other.id != base.id
    assert other.input_key == base.input_key
    assert [item.id == base.id for item in again] == [True, False]
    assert again[1].input_key != base.input_key


def test_a_file_that_is_no_plan_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"plan\.json: damaged, or not written by this project"):
        Plan.from_json("{}", "plan.json")
    newer = {"schema_version": 99}
    newer["digest"] = digest(newer)
    with pytest.raises(
        DatasetError, match=f"schema version 99, this release reads {SCHEMA_VERSION}"
    ):
        Plan.from_json(json.dumps(newer), "plan.json")


@given(st.lists(st.text("abc", min_size=1, max_size=7), min_size=1, max_size=9), st.integers(1, 5))
def test_slices_come_back_whatever_batches_they_lie_in(
    tmp_path_factory: pytest.TempPathFactory, groups: list[str], batch_lines: int
) -> None:
    store = LocalStore(tmp_path_factory.mktemp("plan"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_tables, "_BATCH_LINES", batch_lines)
        plan = Plan({}).grow(tables_of(store, groups), 2)
    with PlanReader(store, plan) as reader:
        assert list(reader.slices()) == [
            Slice(number, tuple(SourceRange(name, 0, 10, XXH3) for name in group))
            for number, group in enumerate(groups)
        ]
        assert [one.number for one in reader.slices(1, 3)] == list(range(1, min(3, len(groups))))
        assert len(list(reader.items())) == plan.num_items == 2 * len(groups)
        names = [file.path for file in reader.inputs()]
        assert names == sorted(set("".join(groups)))
        assert reader.source_bytes() == 2 * 10 * len(names)


def test_nothing_to_add_writes_nothing(tmp_path: Path) -> None:
    assert tables_of(LocalStore(tmp_path), []) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_or_missing_table_is_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    plan = plan_of(store, "abc", 1)
    (path,) = tmp_path.glob("plan/slices-*.arrow")
    flip(path, path.stat().st_size // 2)
    with pytest.raises(
        CorruptDataError, match=r"plan/slices-.*is damaged.*run `blankstream repair`"
    ):
        items_of(store, plan)
    path.unlink()
    with pytest.raises(DatasetError, match=r"plan/slices-.*: missing; run `blankstream repair`"):
        items_of(store, plan)
