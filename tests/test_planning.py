"""Planning: slices of about equal size, a recipe of what decides bytes."""

import unicodedata
from pathlib import Path

import pytest

from pipeline.inputs import Inputs
from pipeline.plan_tables import PlanReader
from pipeline.planning import (
    build_recipe,
    check_planned,
    cut_inputs,
    group_ranges,
    new_inputs,
    recipe_libraries,
)
from pipeline.stores.local import LocalStore
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import Generation, Plan, SourceRange


def test_small_inputs_share_a_slice() -> None:
    ranges = [SourceRange(f"{n}.txt", 0, 10, "") for n in range(25)]
    groups = list(group_ranges(ranges, 100))
    assert [len(group) for group in groups] == [5, 5, 5, 5, 5]
    assert [part for group in groups for part in group] == ranges


def test_a_planned_input_must_not_change(tmp_path: Path) -> None:
    old, new = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for file in (old, new):
        file.write_bytes(b"12345")
    inputs, store = Inputs({"a.jsonl": old, "b.jsonl": new}, ()), LocalStore(tmp_path / "d")
    plan = Plan({}).grow(cut_inputs(store, {"a.jsonl": old}, BuildConfig(), 0), 1)
    with PlanReader(store, plan) as reader:
        assert new_inputs(reader, inputs) == {"b.jsonl": new}
        check_planned(reader, inputs)
        check_planned(reader, Inputs({}, ()))
        old.write_bytes(b"12346")
        with pytest.raises(InputError, match=r"changed since it was planned \(SHA-256"):
            check_planned(reader, inputs)
        old.write_bytes(b"123456")
        with pytest.raises(InputError, match=r"6 bytes, but 'a\.jsonl' was planned with 5"):
            new_inputs(reader, inputs)


def test_inputs_are_cut_into_numbered_slices(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%06d"}\n' % number for number in range(1000))
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(lines)
    files: dict[str, str | Path] = {name: tmp_path / name for name in ("a.jsonl", "b.jsonl")}
    store = LocalStore(tmp_path / "d")
    new = cut_inputs(store, files, BuildConfig(item_bytes=4096), 5)
    assert new is not None
    with PlanReader(
        store, Plan({}, (Generation(5, 5 + new.count, 0, 1, new.slices, new.inputs),))
    ) as reader:
        slices = list(reader.slices())
        assert [one.number for one in slices] == list(range(5, 5 + new.count))
        assert [file.path for file in reader.inputs()] == ["a.jsonl", "b.jsonl"]
        assert reader.source_bytes() == 2 * len(lines)
    for name in files:
        parts = [part for one in slices for part in one.ranges if part.path == name]
        assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
        assert (parts[0].start, parts[-1].stop) == (0, len(lines))


def test_empty_files_grow_a_data_set_but_begin_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    store, files = LocalStore(tmp_path / "d"), {"a.jsonl": tmp_path / "a.jsonl"}
    with pytest.raises(InputError, match="no input holds anything, empty files given: 1; check"):
        cut_inputs(store, files, BuildConfig(), 0)
    new = cut_inputs(store, files, BuildConfig(), 3)
    assert new is not None
    assert new.count == 1


def test_a_recipe_names_the_libraries_that_decide_its_bytes_and_no_others() -> None:
    auto = BuildConfig(encoding="auto")
    assert recipe_libraries(BuildConfig(), "sentencepiece") == ("pyarrow", "sentencepiece")
    assert recipe_libraries(auto, "wordpiece") == ("charset-normalizer", "pyarrow", "tokenizers")
    recipe = build_recipe(BuildConfig(), {}, "", {"pyarrow": "26.0.1", "sentencepiece": "0.2.3"})
    assert recipe["libraries"] == {"pyarrow": "26.0", "sentencepiece": "0.2"}
    assert recipe["unicode"] == unicodedata.unidata_version
