"""How many items of a data set are built, by its records: for `blankstream status`."""

from jobs.plan_build import read_plan
from pipeline.plan_tables import PlanReader
from pipeline.records import unbuilt
from pipeline.stores.store import Store


def count_items(store: Store) -> tuple[int, int]:
    """Items that have a record, and items planned; (0, 0) before there is a plan."""
    plan = read_plan(store)
    if plan is None:
        return 0, 0
    with PlanReader(store, plan) as reader:
        missing = sum(1 for _ in unbuilt(store, reader.items()))
    return plan.num_items - missing, plan.num_items
