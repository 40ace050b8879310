"""Planning: slices of about equal size, a recipe of what decides bytes, a plan that only grows."""

import hashlib
import json
import unicodedata
from pathlib import Path

import pytest

from pipeline.inputs import Inputs
from pipeline.planning import (
    build_recipe,
    check_planned,
    group_ranges,
    new_inputs,
    recipe_libraries,
)
from schemas.build_config import BuildConfig
from schemas.config import digest
from schemas.errors import DatasetError, InputError
from schemas.plan import InputFile, Plan, SourceRange
from schemas.samples import SCHEMA_VERSION


def test_small_inputs_share_a_slice() -> None:
    ranges = [SourceRange(f"{n}.txt", 0, 10, "") for n in range(25)]
    groups = group_ranges(ranges, 100)
    assert [len(group) for group in groups] == [5, 5, 5, 5, 5]
    assert [part for group in groups for part in group] == ranges


def plan_of(names: str, passes: int, plan: Plan | None = None) -> Plan:
    ranges = [(SourceRange(name, 0, 10, name),) for name in names]
    return (plan or Plan({"seed": 1})).grow((), ranges, passes)


def test_a_plan_only_appends_when_it_grows() -> None:
    small = plan_of("ab", 2)
    large = plan_of("c", 3, small)
    names = [item.name for item in large.items()]
    assert names[:4] == [item.name for item in small.items()]
    assert [item.id for item in large.items()][:4] == [item.id for item in small.items()]
    assert names[4:] == [
        "pass-0002/00000",
        "pass-0002/00001",
        "pass-0000/00002",
        "pass-0001/00002",
        "pass-0002/00002",
    ]
    assert len({item.id for item in large.items()}) == len(names)


def test_a_plan_that_does_not_grow_keeps_its_bytes() -> None:
    plan = plan_of("ab", 2)
    assert plan.grow((), [], 2).to_json() == plan.to_json()
    assert Plan.from_json(plan.to_json(), "x") == plan


def test_a_plan_never_shrinks() -> None:
    with pytest.raises(DatasetError, match="fewer than the 2 passes already planned"):
        plan_of("", 1, plan_of("ab", 2))


def test_an_item_is_its_recipe_its_content_and_its_pass() -> None:
    base = next(plan_of("a", 1).items()).id
    assert next(plan_of("b", 1).items()).id != base
    other = Plan({"seed": 2}).grow((), [(SourceRange("a", 0, 10, "a"),)], 1)
    assert next(other.items()).id != base
    assert next(item.id for item in plan_of("a", 2).items()) == base


def test_a_file_that_is_no_plan_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"plan\.json: damaged, or not written by this project"):
        Plan.from_json("{}", "plan.json")
    newer = {"schema_version": 99}
    newer["digest"] = digest(newer)
    with pytest.raises(
        DatasetError, match=f"schema version 99, this release reads {SCHEMA_VERSION}"
    ):
        Plan.from_json(json.dumps(newer), "plan.json")


def test_a_planned_input_must_not_change(tmp_path: Path) -> None:
    old, new = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for file in (old, new):
        file.write_bytes(b"12345")
    known = InputFile("a.jsonl", 5, hashlib.sha256(b"12345").hexdigest())
    plan = Plan({}, inputs=(known,))
    inputs = Inputs({"a.jsonl": old, "b.jsonl": new}, ())
    assert new_inputs(plan, inputs) == {"b.jsonl": new}
    check_planned(plan, inputs)
    check_planned(plan, Inputs({}, ()))
    old.write_bytes(b"12346")
    with pytest.raises(InputError, match=r"changed since it was planned \(SHA-256"):
        check_planned(plan, inputs)
    old.write_bytes(b"123456")
    with pytest.raises(InputError, match=r"6 bytes, but 'a\.jsonl' was planned with 5"):
        new_inputs(plan, inputs)


def test_a_recipe_names_the_libraries_that_decide_its_bytes_and_no_others() -> None:
    auto = BuildConfig(encoding="auto")
    assert recipe_libraries(BuildConfig(), "sentencepiece") == ("pyarrow", "sentencepiece")
    assert recipe_libraries(auto, "wordpiece") == ("charset-normalizer", "pyarrow", "tokenizers")
    recipe = build_recipe(BuildConfig(), {}, "", {"pyarrow": "26.0.1", "sentencepiece": "0.2.3"})
    assert recipe["libraries"] == {"pyarrow": "26.0", "sentencepiece": "0.2"}
    assert recipe["unicode"] == unicodedata.unidata_version
