"""What stands above the items of a data set, written anew where it is damaged.

Last step of `repair`, when every item is whole: plans from each other, shard tables from the
records, manifests from their copies, else from the records too.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.care.damage import DamageList
from pipeline.care.kept_plans import beginnings
from pipeline.care.mend_item import read_or_none
from pipeline.care.whole import Whole
from pipeline.care.whole_files import check_table
from pipeline.finish import make_manifest, read_manifest
from pipeline.plan_tables import PlanReader
from pipeline.shard_formats.tar_index import dataset_json
from pipeline.stores.local import LocalStore
from pipeline.stores.overlay import OverlayStore
from pipeline.survey import Survey
from pipeline.table import write_table
from schemas.errors import CorruptDataError, DatasetError
from schemas.manifest import Manifest
from schemas.names import MANIFEST_NAME, PLAN_NAME, TAR_INDEX_NAME, manifest_name, plan_name
from schemas.plan import Plan

ANY_RATIO = 1.0
"""How much input may be bad was decided when the data set was built."""


def mend_whole(whole: Whole) -> list[str]:
    """Write what is damaged, and nothing else; names of the files written.

    Raises `CorruptDataError` where a table comes out otherwise than its manifest says.
    """
    mender = _Mender(whole)
    mender.plans()
    mender.manifests()
    return mender.written


class _Mender:
    """State of one repair; `written` are the names of the files written."""

    def __init__(self, whole: Whole) -> None:
        self._whole, self._store, self._plan = whole, whole.store, whole.plan
        self._names = {one.name for one in whole.found}
        self.written: list[str] = []

    def plans(self) -> None:
        """A damaged plan is taken from the other copy, an older one from its beginning."""
        text = self._plan.to_json().encode()
        self._write(plan_name(self._plan.digest), text)
        if PLAN_NAME in self._names:
            self._write(PLAN_NAME, text)
        for manifest in filter(None, self._whole.older.values()):
            if plan := self._beginning(manifest.plan_digest):
                self._write(plan_name(plan.digest), plan.to_json().encode())

    def manifests(self) -> None:
        """Both copies of this version's, and what hangs on it; then those of older versions."""
        manifest = self._agreed() or self._made(self._plan, self._whole.version)
        self._table(self._plan, manifest)
        text = manifest.to_json().encode()
        self._write(manifest_name(manifest.version), text)
        for name, plan, older in self._lost():
            self._write(plan_name(plan.digest), plan.to_json().encode())
            self._table(plan, older)
            self._write(name, older.to_json().encode())
        for one in filter(None, self._whole.older.values()):
            if beginning := self._beginning(one.plan_digest):
                self._table(beginning, one)
        if manifest.shard_format == "tar":
            with self._survey(self._plan) as (_, survey):
                parts = (manifest.row_format, manifest.tokenizer, survey.entries())
                self._write(TAR_INDEX_NAME, dataset_json(*parts).encode())
        self._write(MANIFEST_NAME, text)

    def _agreed(self) -> Manifest | None:
        """The manifest, unless its copies contradict each other or it the records."""
        manifest, store = self._whole.manifest, self._store
        if manifest is None:
            return None
        names = (MANIFEST_NAME, manifest_name(manifest.version))
        is_odd = any(
            name in self._names and read_manifest(store, name) is not None for name in names
        )
        return None if is_odd else manifest

    def _lost(self) -> Iterator[tuple[str, Plan, Manifest]]:
        """Earlier versions whose manifest is damaged, where it is clear what their plans were."""
        older, store = self._whole.older, self._store
        known = {one.plan_digest for one in older.values() if one}
        plans = [plan for plan in beginnings(self._plan) if plan.digest not in known]
        kept = [plan for plan in plans if store.size(plan_name(plan.digest)) is not None]
        lost = [name for name, one in older.items() if one is None]
        for chosen in (kept, plans):
            if len(chosen) == len(lost):
                for name, plan in zip(lost, chosen, strict=True):
                    number = int(name.rpartition("/")[2].removesuffix(".json"))
                    yield name, plan, self._made(plan, number)
                return

    def _beginning(self, digest: str) -> Plan | None:
        return next((one for one in beginnings(self._plan) if one.digest == digest), None)

    def _made(self, plan: Plan, version: int) -> Manifest:
        """What a build writes; its shard table is left to `_table`."""
        with (
            tempfile.TemporaryDirectory(prefix="blankstream-") as name,
            self._survey(plan) as (reader, survey),
        ):
            untouched = OverlayStore(self._store, LocalStore(Path(name)))
            return make_manifest(untouched, reader, survey, version, ANY_RATIO)

    def _table(self, plan: Plan, manifest: Manifest) -> None:
        """Write the shard table anew unless it is intact."""
        name, store = manifest.table.path, self._store
        if check_table(DamageList(store), manifest):
            return
        with self._survey(plan) as (_, survey), store.draft("") as draft:
            hashes, _ = write_table(draft.path, survey.entries())
            if hashes != manifest.table.hashes:
                raise CorruptDataError(
                    f"{store.where(name)}: the records give another table (SHA-256 "
                    f"{hashes.sha256}, expected {manifest.table.hashes.sha256}); restore the file "
                    "from a copy"
                )
            draft.commit(name)
        self.written.append(name)

    @contextmanager
    def _survey(self, plan: Plan) -> Iterator[tuple[PlanReader, Survey]]:
        with PlanReader(self._store, plan) as reader, Survey(self._store) as survey:
            survey.take(reader.items())
            if survey.lost:
                raise DatasetError(
                    f"{self._store.place}: {len(survey.lost)} items are not built, the first is "
                    f"{survey.lost[0].name}; run the same `blankstream build` again"
                )
            yield reader, survey

    def _write(self, name: str, content: bytes) -> None:
        if read_or_none(self._store, name) != content:
            self._store.replace(name, content)
            self.written.append(name)
