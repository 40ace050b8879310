"""Plans that a data set keeps: the one begun last, and one for each version it has had.

Used by checks and repairs. A plan only ever grows, so that an earlier one is the beginning of a
later one and can be taken from there.
"""

from pipeline.plan_tables import PlanReader
from pipeline.records import unbuilt
from pipeline.stores.store import Store
from schemas.errors import CorruptDataError, DatasetError
from schemas.names import PLAN_NAME, plan_name
from schemas.plan import Plan


def beginnings(plan: Plan) -> list[Plan]:
    """What a plan may have been before it grew, shortest first."""
    count = len(plan.generations)
    return [Plan(plan.recipe, plan.generations[:number]) for number in range(1, count)]


def kept_plans(store: Store) -> list[Plan]:
    """Every plan that can be read: the one begun last, then the others, the longest first."""
    folder = plan_name("").rpartition("/")[0]
    names = [name for name in store.files(folder) if name.endswith(".json")]
    others = sorted(filter(None, (_read(store, name) for name in names)), key=_length)
    return [plan for plan in (_read(store, PLAN_NAME), *reversed(others)) if plan]


def find_plan(store: Store, digest: str) -> Plan | None:
    """The plan with this digest, from any copy of it or from a later plan."""
    every = kept_plans(store)
    longer = (one for plan in every for one in beginnings(plan))
    return next((plan for plan in (*every, *longer) if plan.digest == digest), None)


def is_built(store: Store, plan: Plan) -> bool:
    """Whether every item of `plan` has a record, intact or not."""
    try:
        with PlanReader(store, plan) as reader:
            return next(unbuilt(store, reader.items()), None) is None
    except (CorruptDataError, DatasetError):
        return False


def _read(store: Store, name: str) -> Plan | None:
    try:
        return Plan.from_json(store.read(name).decode("utf-8", "replace"), store.where(name))
    except (FileNotFoundError, DatasetError):
        return None


def _length(plan: Plan) -> int:
    return len(plan.generations)
