"""What stands above the items of a data set: its manifests and plans, and which can be trusted.

Where a check and a repair begin. `whole_files.py` looks at the larger files that these lead to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.damage import Damage, DamageList
from pipeline.dataset import open_dataset
from pipeline.finish import last_manifest
from pipeline.readers.remote import is_url
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.config import differing_keys
from schemas.errors import DatasetError
from schemas.manifest import Manifest, StoredFile
from schemas.names import MANIFEST_NAME, PLAN_NAME, manifest_name, plan_name
from schemas.plan import Plan
from schemas.samples import row_format_of


class _Sealed(Protocol):
    def to_json(self) -> str: ...


Sealed = TypeVar("Sealed", bound=_Sealed)


@dataclass
class Whole:
    """A data set above its items. `manifest` is None where every copy of it is damaged; `plan` is
    that of the manifest. `files` are names of what belongs to the data set; `older` are the
    manifests of earlier versions, None for damaged ones, by name."""

    store: Store
    manifest: Manifest | None
    plan: Plan
    damage: DamageList
    older: dict[str, Manifest | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

    @property
    def place(self) -> str:
        """Path or URL, absolute: what workers open."""
        place = self.store.place
        return place if is_url(place) else str(Path(place).resolve())

    def look_at(self, store: Store) -> None:
        """Read from `store` from here on: the data set, or what it will be."""
        self.store = self.damage.store = store

    @property
    def found(self) -> list[Damage]:
        """What is wrong, as far as it was looked at."""
        return self.damage.found

    def plan_tables(self) -> list[StoredFile]:
        """The tables of the plan."""
        pairs = ((one.slices, one.inputs) for one in self.plan.generations)
        return [table for pair in pairs for table in pair if table]


def read_whole(store: Store, needs_manifest: bool = True) -> Whole:
    """Manifests and plans of a data set, with what is wrong with any of them.

    Raises `DatasetError` when there is no data set: no `manifest.json` (unless `needs_manifest` is
    false and a version was committed), or no plan that can be read.
    """
    versions = list(store.files(manifest_name(0).rpartition("/")[0]))
    if store.size(MANIFEST_NAME) is None and (needs_manifest or not versions):
        raise _no_manifest(store)
    damage = DamageList(store)
    manifest = _read(damage, MANIFEST_NAME, Manifest.from_json) or last_manifest(store)
    whole = Whole(store, manifest, _plan(damage, manifest), damage)
    whole.files = {MANIFEST_NAME, PLAN_NAME, *versions}
    whole.files |= {table.path for table in whole.plan_tables()}
    if manifest:
        whole.files |= {plan_name(manifest.plan_digest), manifest.table.path}
        _check_recipe(whole, manifest)
        _check_versions(whole, manifest, versions)
    else:
        names = (_read(damage, name, Manifest.from_json) for name in versions)
        whole.older = dict(zip(versions, names, strict=True))
    return whole


def _no_manifest(store: Store) -> DatasetError:
    if isinstance(store, LocalStore):
        try:
            open_dataset(store.folder)
        except DatasetError as error:
            return error
    return DatasetError(
        f"{store.place}: no {MANIFEST_NAME}: no data set, or its build has not finished; run the "
        "same `blankstream build` again to complete it"
    )


def _read(damage: DamageList, name: str, parse: Callable[[str, str], Sealed]) -> Sealed | None:
    """A sealed file; None, which is noted, unless its bytes are what was written."""
    try:
        content = damage.store.read(name)
        found = parse(content.decode("utf-8", "replace"), name)
    except FileNotFoundError:
        damage.add(name, "missing, expected a sealed JSON file")
        return None
    except DatasetError as error:
        damage.add(name, str(error).removeprefix(f"{name}: ").rpartition("; ")[0])
        return None
    if found.to_json().encode() != content:
        damage.add(name, "expected sealed JSON, found it formatted otherwise")
        return None
    return found


def _plan(damage: DamageList, manifest: Manifest | None) -> Plan:
    """The plan of the manifest from any copy of it; without a manifest, the plan begun last."""
    store = damage.store
    begun = _read(damage, PLAN_NAME, Plan.from_json)
    if manifest is None:
        plan = begun
    else:
        name = plan_name(manifest.plan_digest)
        plan = _read(damage, name, Plan.from_json)
        if plan and plan.digest != manifest.plan_digest:
            damage.add(name, f"expected digest {manifest.plan_digest}, found {plan.digest}")
            plan = None
        if plan is None and begun and begun.digest == manifest.plan_digest:
            plan = begun
    if plan is None:
        told = "\n".join(one.text for one in damage.found)
        raise DatasetError(
            f"{store.place}: no plan can be read, and without it nobody knows what the data set "
            f"consists of; restore {PLAN_NAME} or the folder plan from a copy\n{told}"
        )
    return plan


def _check_recipe(whole: Whole, manifest: Manifest) -> None:
    """The manifest says of the rows what the plan's recipe says."""
    plan = whole.plan
    expected = {
        "recipe_digest": plan.recipe_digest,
        "row_format": row_format_of(plan.recipe).to_mapping(),
        "shard_format": plan.recipe["build"]["shard_format"],
        "tokenizer": plan.recipe["tokenizer"],
    }
    found = {name: getattr(manifest, name) for name in expected}
    found["row_format"] = manifest.row_format.to_mapping()
    for line in differing_keys(expected, found):
        whole.damage.add(MANIFEST_NAME, f"does not agree with the plan, {line}")


def _check_versions(whole: Whole, manifest: Manifest, versions: list[str]) -> None:
    """The manifest of this version is kept twice; those before it are there and sealed."""
    own, store = manifest_name(manifest.version), whole.store
    for name in sorted({*versions, *map(manifest_name, range(manifest.version + 1))}):
        kept = _read(whole.damage, name, Manifest.from_json)
        if name < own:
            whole.older[name] = kept
            if kept:
                whole.files |= {plan_name(kept.plan_digest), kept.table.path}
                _read(whole.damage, plan_name(kept.plan_digest), Plan.from_json)
        elif name == own and kept and kept != manifest:
            whole.damage.add(name, f"expected a copy of {MANIFEST_NAME}, found another manifest")
        elif name > own and kept:
            whole.notes.append(
                f"{store.where(name)} is of a later version, whose build was ended before it "
                f"wrote {MANIFEST_NAME}; run the same `blankstream build` again"
            )
    is_readable = all(one.name != PLAN_NAME for one in whole.found)
    if is_readable and store.read(PLAN_NAME) != whole.plan.to_json().encode():
        whole.notes.append(
            f"{store.where(PLAN_NAME)} is beyond the finished data set: a growth was begun and has "
            "not finished; its files are not looked at"
        )
