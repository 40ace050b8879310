"""`blankstream build --dry-run`: what a build would do and cost, with nothing written to its place.

Stands beside `build.py` and plans as it does, over an overlay of the data set in a temporary
folder; `build_sample.py` builds some items there, `estimate.py` says what was found.
"""

import shutil
import tempfile
import time
from pathlib import Path

from jobs.build import BuildRequest, BuildWatcher, check_request
from jobs.build_sample import Pending, Sample, build_sample, forecast
from jobs.estimate import Estimate, Growth
from jobs.estimate import render_estimate as render_estimate
from jobs.executors.choice import admitted_workers
from jobs.executors.executor import ExecutorOptions
from jobs.plan_build import PlannedBuild, check_sources, planned_build, read_plan
from jobs.worker_memory import worker_memory_bytes
from pipeline.build import BuildContext
from pipeline.machine_memory import available_memory
from pipeline.records import unbuilt
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.overlay import OverlayStore
from pipeline.stores.store import Store
from schemas.names import SPLITTER_NAME, plan_name
from schemas.plan import Plan


def dry_run(request: BuildRequest, watcher: BuildWatcher) -> Estimate:
    """What `build_dataset(request, watcher)` would do now; writes nothing at `request.output`.

    Inputs are read and hashed, and a new data set's splitter and tokenizer are made, as in the
    build. Raises what the build would raise before its first item, or for an item of the sample.
    The sample and the numbers of rows are deterministic, times are not.
    """
    base = open_store(request.output)
    inputs = check_request(request, base, watcher, is_written=False)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        store = OverlayStore(base, LocalStore(Path(name, "changes")))
        with planned_build(request.config, inputs, store, watcher) as planned:
            seconds = time.monotonic() - started
            return _DryRun(request, planned, (base, Path(name)), watcher).estimate(store, seconds)


class _DryRun:
    """One dry run of a planned build; `places` are the data set and a temporary folder."""

    def __init__(
        self,
        request: BuildRequest,
        planned: PlannedBuild,
        places: tuple[Store, Path],
        watcher: BuildWatcher,
    ) -> None:
        self._request, self._planned, self._watcher = request, planned, watcher
        (self._base, self._folder), self._plan = places, planned.reader.plan

    def estimate(self, store: Store, planning_seconds: float) -> Estimate:
        """Look at every item of the plan, build the sample, and reckon."""
        pending, reader = Pending(), self._planned.reader
        check_sources(pending.through(unbuilt(store, reader.items())), self._planned.inputs)
        sample = self._sample(store, pending)
        workers, notes = self._workers(pending.items)
        return Estimate(
            place=self._base.place,
            growth=self._growth(pending.items),
            inputs=sum(1 for _ in reader.inputs()),
            items=self._plan.num_items,
            source_bytes=reader.source_bytes(),
            pending_items=pending.items,
            pending_bytes=pending.source_bytes,
            forecast=forecast(pending, sample, workers),
            executor=self._request.executor,
            workers=workers,
            max_bad_ratio=self._request.config.max_bad_ratio,
            planning_seconds=planning_seconds,
            free_bytes=_free_bytes(self._base),
            notes=(*notes, *(f"not in the sample: {text}" for text in sample.failures)),
        )

    def _sample(self, store: Store, pending: Pending) -> Sample:
        items = pending.chosen()
        if items:
            self._watcher.stage(f"Building a sample: {len(items)} of {pending.items:,} items")
        return build_sample(self._context(), items, store, self._folder / "warm")

    def _context(self) -> BuildContext:
        """Tools come from where they are: those of a new data set are among the changes alone."""
        changes = self._folder / "changes"
        place = str(changes) if (changes / SPLITTER_NAME).is_file() else self._base.place
        return BuildContext(place, self._planned.inputs.files, self._plan.recipe)

    def _growth(self, num_pending: int) -> Growth:
        """How the plan differs from what is there."""
        plan, begun, finished = self._plan, read_plan(self._base), self._planned.finished
        old, is_left = begun or Plan(plan.recipe), False
        if old.generations != plan.generations[: len(old.generations)]:
            assert finished
            is_left = True
            old = read_plan(self._base, plan_name(finished.plan_digest)) or old
        is_whole = finished and finished.plan_digest == plan.digest and not num_pending
        kind = "finished" if is_whole else "continued" if plan == old else "grown"
        passes, slices = (old.passes, plan.passes), (old.num_slices, plan.num_slices)
        return Growth(kind if begun else "new", self._planned.version, passes, slices, is_left)

    def _workers(self, num_items: int) -> tuple[int, list[str]]:
        """Workers that would run, and why they are fewer than asked for."""
        request = self._request
        if request.executor == "serial":
            return 1, []
        options = ExecutorOptions(
            name=request.executor,
            workers=max(1, min(request.workers, num_items)),
            memory_bytes=worker_memory_bytes(self._plan, request.config),
        )
        if request.address:
            return options.workers, ["a cluster decides itself how many workers run at once"]
        return admitted_workers(options, available_memory()), options.notes


def _free_bytes(store: Store) -> int | None:
    """Bytes free where a local data set is, or will be."""
    if not isinstance(store, LocalStore):
        return None
    folder = store.folder.absolute()
    return shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free
