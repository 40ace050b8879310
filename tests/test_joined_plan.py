"""Joined plans: the items of all, in order, with the ids they had."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from pipeline.care.joined_plan import joined_plan
from pipeline.plan_tables import PlanReader, PlanTablesWriter
from pipeline.stores.local import LocalStore
from schemas.plan import InputFile, NewSlices, Plan, SourceRange, WorkItem

RECIPE = {"build": {"seed": 1}}

GROWTHS = st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=3)
"""For each growth of a plan, how many ranges each new slice has; the first has at least one."""


def written(store: LocalStore, first: int, name: str, sizes: list[int]) -> NewSlices | None:
    """One input, cut into slices of so many ranges of ten bytes."""
    writer = PlanTablesWriter(store, first)
    writer.add_input(InputFile(name, 10 * sum(sizes), "ab" * 32))
    edges = [10 * sum(sizes[:number]) for number in range(len(sizes))]
    groups = [
        tuple(
            SourceRange(name, start, start + 10, "cd" * 16)
            for start in range(edge, edge + 10 * size, 10)
        )
        for edge, size in zip(edges, sizes, strict=True)
    ]
    return writer.write(groups)


def planned(store: LocalStore, letter: str, growths: list[list[int]], passes: int) -> Plan:
    plan = Plan(RECIPE)
    for number, sizes in enumerate(growths):
        grown = min(passes, number + 1)
        sizes = sizes or [1] if not number else sizes
        new = written(store, plan.num_slices, f"{letter}{number}.txt", sizes) if sizes else None
        plan = plan.grow(new, max(plan.passes, grown))
    return plan


def items_of(store: LocalStore, plan: Plan) -> list[WorkItem]:
    with PlanReader(store, plan) as reader:
        return list(reader.items())


@given(st.lists(GROWTHS, min_size=1, max_size=3), st.integers(1, 3))
def test_items_are_those_of_all_plans_in_order_numbered_anew(
    every: list[list[list[int]]], passes: int
) -> None:
    with TemporaryDirectory() as name:
        store, scratch = LocalStore(Path(name) / "a"), LocalStore(Path(name) / "b")
        plans = [planned(store, "abc"[n], growths, passes) for n, growths in enumerate(every)]
        plan = joined_plan([(store, one) for one in plans], scratch)
        found = items_of(scratch, plan)
        offsets = [sum(one.num_slices for one in plans[:n]) for n in range(len(plans))]
        expected = [
            (item.id, item.pass_number, item.slice.number + offset, item.slice.ranges)
            for one, offset in zip(plans, offsets, strict=True)
            for item in items_of(store, one)
        ]
        assert [
            (item.id, item.pass_number, item.slice.number, item.slice.ranges) for item in found
        ] == expected
        assert plan.num_slices == sum(one.num_slices for one in plans)
        numbers = [item.generation for item in found]
        assert numbers == sorted(numbers)


def test_the_first_plan_keeps_its_tables(tmp_path: Path) -> None:
    store, scratch = LocalStore(tmp_path / "a"), LocalStore(tmp_path / "b")
    plan = planned(store, "a", [[1, 2], [3]], 2)
    assert joined_plan([(store, plan)], scratch) == plan
