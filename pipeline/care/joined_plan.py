"""Plans of one recipe -> one plan: what a merge of their data sets consists of.

Stands before `renumber.py`, which copies the items. Inputs must be apart: see `jobs/care/merge.py`.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.plan_tables import PlanReader, PlanTablesWriter
from pipeline.stores.store import Store
from schemas.plan import Generation, Plan


def joined_plan(planned: Sequence[tuple[Store, Plan]], scratch: Store) -> Plan:
    """The generations of all plans, one after the other, each plan with the store of its tables.

    Slices of a plan are numbered behind those of the plans before it; the tables with the new
    numbers are written to `scratch`. Items come in the order of the plans and keep their ids.
    """
    plan = Plan(planned[0][1].recipe)
    for store, one in planned:
        assert one.recipe == plan.recipe, "plans of one recipe"
        offset = plan.num_slices
        moved = [_moved((store, one), part, offset, scratch) for part in one.generations]
        plan = replace(plan, generations=(*plan.generations, *moved))
    return plan


def _moved(
    source: tuple[Store, Plan], generation: Generation, offset: int, scratch: Store
) -> Generation:
    """`generation` with every slice number raised by `offset`."""
    store, plan = source
    first, stop = generation.first_slice, generation.stop_slice
    moved = replace(generation, first_slice=first + offset, stop_slice=stop + offset)
    if generation.slices is None:
        return moved
    with PlanReader(store, Plan(plan.recipe, (generation,))) as reader:
        writer = PlanTablesWriter(scratch, first + offset)
        for file in reader.inputs():
            writer.add_input(file)
        new = writer.write(one.ranges for one in reader.slices(first, stop))
    assert new, "a generation has slices"
    return replace(moved, slices=new.slices, inputs=new.inputs)
