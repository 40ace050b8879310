"""What plan and manifest say of a data set in a few numbers, without its tables.

Used by `status.py`, also while another process writes them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.stores.store import Store
from pipeline.table import REBUILD_REMEDY
from schemas.errors import DatasetError
from schemas.manifest import SPLITS
from schemas.names import MANIFEST_NAME, PLAN_NAME
from schemas.plan import PLAN_REMEDY
from schemas.sealed import unseal

T = TypeVar("T")


@dataclass(frozen=True)
class PlanFacts:
    """Generations of the plan, and its digest."""

    generations: int
    digest: str


@dataclass(frozen=True)
class FinishedFacts:
    """What the manifest says. `digest` is the data set's, the SHA-256 of the manifest itself;
    `content_digest` is over the rows alone, `version` counts how it has grown."""

    digest: str
    content_digest: str
    plan_digest: str
    version: int
    rows: dict[str, int]


def read_plan_facts(store: Store) -> PlanFacts | None:
    """Facts of the last plan begun; None where there is none. `DatasetError` when damaged."""
    return _read(
        store, PLAN_NAME, lambda content, digest: PlanFacts(len(content["generations"]), digest)
    )


def read_finished_facts(store: Store) -> FinishedFacts | None:
    """Facts of the last version; None before the first. `DatasetError` when damaged."""
    return _read(store, MANIFEST_NAME, _finished_facts)


def _read(store: Store, name: str, parse: Callable[[dict[str, Any], str], T]) -> T | None:
    """What `parse` makes of the content and the SHA-256 of a sealed file."""
    try:
        text = store.read(name).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatasetError(f"{store.where(name)}: cannot be read ({error.strerror})") from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    remedy = PLAN_REMEDY if name == PLAN_NAME else REBUILD_REMEDY
    return unseal(text, store.where(name), remedy, lambda content: parse(content, digest))


def _finished_facts(content: dict[str, Any], digest: str) -> FinishedFacts:
    rows = {split: int(content["rows"][split]) for split in SPLITS}
    digests = str(content["content_digest"]), str(content["plan_digest"])
    return FinishedFacts(digest, *digests, int(content["version"]), rows)
