"""Planning: inputs found, cut at document boundaries by bytes, and identified by content."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import Document, read_documents
from pipeline.planning import check_range, cut_ranges, find_inputs, group_ranges
from schemas.build_config import BuildConfig
from schemas.config import digest
from schemas.errors import DatasetError, InputError
from schemas.plan import Plan, SourceRange

OUTPUT = Path("nowhere")


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1024, 4096), st.booleans())
def test_ranges_cover_the_file_and_cut_no_document(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], item_bytes: int, newline: bool
) -> None:
    file = tmp_path_factory.mktemp("cut") / "x.jsonl"
    lines = [json.dumps({"id": n, "text": "x" * size}) for n, size in enumerate(sizes)]
    file.write_text("\n".join(lines) + ("\n" if newline else ""))
    described, ranges = cut_ranges("x.jsonl", file, item_bytes)
    edges = [0] + [part.stop for part in ranges]
    assert [part.start for part in ranges] == edges[:-1]
    assert edges[-1] == described.bytes == file.stat().st_size
    assert all(part.stop - part.start < item_bytes + 400 for part in ranges)
    ids = [
        found.id
        for part in ranges
        for found in read_documents(file, part, BuildConfig())
        if isinstance(found, Document)
    ]
    assert ids == [str(number) for number in range(len(sizes))]


def test_a_compressed_file_is_one_range_and_an_empty_one_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"x" * 5000)
    (tmp_path / "b.jsonl").write_bytes(b"")
    assert len(cut_ranges("a.jsonl.gz", tmp_path / "a.jsonl.gz", 1024)[1]) == 1
    assert cut_ranges("b.jsonl", tmp_path / "b.jsonl", 1024)[1] == []


def test_small_inputs_share_a_slice() -> None:
    ranges = [SourceRange(f"{n}.txt", 0, 10, "") for n in range(25)]
    groups = group_ranges(ranges, 100)
    assert [len(group) for group in groups] == [5, 5, 5, 5, 5]
    assert [part for group in groups for part in group] == ranges


def test_inputs_are_named_by_their_path_below_the_folder_given(tmp_path: Path) -> None:
    for name in ("b/two.jsonl", "a.txt", ".hidden/three.txt", "image.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    inputs = find_inputs([tmp_path], OUTPUT)
    assert list(inputs.files) == ["a.txt", "b/two.jsonl"]
    assert inputs.skipped == ("image.png",)
    assert list(find_inputs([tmp_path / "a.txt"], OUTPUT).files) == ["a.txt"]


def test_inputs_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder; check --input"):
        find_inputs([tmp_path / "missing"], OUTPUT)
    with pytest.raises(InputError, match="no input files in"):
        find_inputs([tmp_path], OUTPUT)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("x")
    with pytest.raises(InputError, match=r"would both be called 'x\.txt'"):
        find_inputs([tmp_path / "a", tmp_path / "b"], OUTPUT)
    (tmp_path / "c.pdf").write_text("x")
    with pytest.raises(InputError, match=r"c\.pdf: unknown format"):
        find_inputs([tmp_path / "c.pdf"], OUTPUT)


def test_a_range_that_changed_since_planning_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"text": "a"}\n')
    _, (part,) = cut_ranges("x.jsonl", file, 1024)
    check_range(file, part)
    file.write_text('{"text": "b"}\n')
    with pytest.raises(InputError, match="have changed since the build was planned"):
        check_range(file, part)
    file.unlink()
    with pytest.raises(InputError, match="restore it and run the build again"):
        check_range(file, part)


def test_the_output_is_no_input_of_its_own_build(tmp_path: Path) -> None:
    for name in ("a.jsonl", "d/quarantine/00000.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(find_inputs([tmp_path], tmp_path / "d").files) == ["a.jsonl"]


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
    with pytest.raises(DatasetError, match="schema version 99, this release reads 1"):
        Plan.from_json(json.dumps(newer), "plan.json")
