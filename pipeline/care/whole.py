"""What stands above the items of a data set: its manifests and plans, and which can be trusted.

Where a check and a repair begin. `whole_files.py` looks at the larger files that these lead to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.care.damage import Damage, DamageList
from pipeline.care.kept_plans import beginnings, find_plan, is_built, kept_plans
from pipeline.dataset import open_dataset
from pipeline.finish import read_manifest
from pipeline.readers.remote import is_url
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.config import differing_keys
from schemas.errors import DatasetError
from schemas.manifest import Manifest, StoredFile
from schemas.names import MANIFEST_NAME, PLAN_NAME, manifest_name, plan_name
from schemas.plan import Plan
from schemas.samples import row_format_of

_MOST_LOST = 100
"""So many manifests that are gone are told one by one."""


@dataclass
class Whole:
    """A data set above its items. `manifest` is None where every copy of it is damaged; `plan` is
    that of the manifest, `version` the data set's. `files` are names of what belongs to it; `older`
    are the manifests of earlier versions, None for damaged ones, by name."""

    store: Store
    manifest: Manifest | None
    plan: Plan
    damage: DamageList
    version: int
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
    manifest = _manifest(damage, versions)
    plan = _plan(damage, manifest)
    version = manifest.version if manifest else _version(store, plan, versions)
    whole = Whole(store, manifest, plan, damage, version)
    whole.files = {MANIFEST_NAME, PLAN_NAME, *versions, plan_name(plan.digest)}
    whole.files |= {table.path for table in whole.plan_tables()}
    if manifest:
        whole.files.add(manifest.table.path)
        _check_recipe(whole, manifest)
    _check_versions(whole, versions)
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


def _manifest(damage: DamageList, versions: list[str]) -> Manifest | None:
    """`manifest.json`, else the manifest of the last version.

    None where that is damaged, too, and where it is older than the plan begun last although every
    item of that is built: then both copies of the last manifest are gone.
    """
    store = damage.store
    manifest = damage.read_sealed(MANIFEST_NAME, Manifest.from_json)
    if manifest is not None or not versions:
        return manifest
    last, begun = read_manifest(store, versions[-1]), kept_plans(store)[:1]
    if last and begun and begun[0].digest != last.plan_digest and is_built(store, begun[0]):
        return None
    return last


def _plan(damage: DamageList, manifest: Manifest | None) -> Plan:
    """The plan of the manifest, wherever it can be had; without a manifest, the one begun last."""
    store = damage.store
    plan = damage.read_sealed(PLAN_NAME, Plan.from_json)
    if manifest:
        name = plan_name(manifest.plan_digest)
        kept = damage.read_sealed(name, Plan.from_json)
        if kept and kept.digest != manifest.plan_digest:
            damage.add(name, f"expected digest {manifest.plan_digest}, found {kept.digest}")
        plan = find_plan(store, manifest.plan_digest)
    if plan is None:
        told = "; ".join(one.text for one in damage.found)
        raise DatasetError(
            f"{store.place}: no plan can be read, and without it nobody knows what the data set "
            f"consists of; restore {PLAN_NAME} from a copy, or from the folder plan ({told})"
        )
    return plan


def _version(store: Store, plan: Plan, versions: list[str]) -> int:
    """That of a data set whose last manifest is lost: from the name of the damaged one, else one
    more than the last there is, else the number of earlier plans or tables that are kept."""
    if not versions:
        names = (plan_name(one.digest) for one in beginnings(plan))
        tables = sum(name.startswith("shards-") for name in store.files(""))
        return max(tables - 1, sum(store.size(name) is not None for name in names))
    number = int(versions[-1].rpartition("/")[2].removesuffix(".json"))
    return number + (read_manifest(store, versions[-1]) is not None)


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


def _expected(whole: Whole, num_kept: int) -> Iterator[str]:
    """Names of the manifests of every version; where a manifest claims more versions than there
    can have been, of the first ones and of its own."""
    most = num_kept + _MOST_LOST
    if whole.version > most:
        whole.damage.add(MANIFEST_NAME, f"is of version {whole.version}, found {num_kept} versions")
    yield from map(manifest_name, range(min(whole.version, most)))
    yield manifest_name(whole.version)


def _check_versions(whole: Whole, versions: list[str]) -> None:
    """The manifest of this version is kept twice; those before it are there and sealed."""
    own, store, damage = manifest_name(whole.version), whole.store, whole.damage
    for name in sorted({*versions, *_expected(whole, len(versions))}):
        kept = damage.read_sealed(name, Manifest.from_json)
        if name < own:
            whole.older[name] = kept
            if kept:
                whole.files |= {plan_name(kept.plan_digest), kept.table.path}
                damage.read_sealed(plan_name(kept.plan_digest), Plan.from_json)
        elif name == own and kept and kept != whole.manifest:
            damage.add(name, f"expected a copy of {MANIFEST_NAME}, found another manifest")
        elif name > own and kept:
            whole.notes.append(
                f"{store.where(name)} is of a later version, whose build was ended before it "
                f"wrote {MANIFEST_NAME}; run the same `blankstream build` again"
            )
    if whole.manifest is None and not versions:
        whole.notes.append(f"no manifest is left; this is taken to be version {whole.version}")
    begun = kept_plans(store)[:1]
    if begun and begun[0] != whole.plan:
        whole.notes.append(
            f"{store.where(PLAN_NAME)} is beyond the finished data set: a growth was begun and has "
            "not finished; its files are not looked at"
        )
