"""`blankstream build`: inputs -> plan -> work items on an executor -> a finished data set.

The driver holds no state of its own: everything it needs to go on after a crash is in the data
set's folder. Several drivers may build the same data set at once: they write the same files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jobs.build_place import check_place, folder_of
from jobs.disk_errors import disk_error
from jobs.drive import drive
from jobs.executors.addresses import check_address
from jobs.executors.choice import open_executor
from jobs.executors.executor import ExecutorOptions
from jobs.isolation import Limits
from jobs.pages.build_pages import write_pages
from jobs.plan_build import PlannedBuild, check_sources, planned_build
from jobs.progress.build_state import BuildState
from jobs.progress.status_file import LOCAL_EVERY_SECONDS, REMOTE_EVERY_SECONDS, StatusWriter
from jobs.work import Work
from jobs.worker_memory import worker_memory_bytes
from pipeline.build import BuildContext, build_work_item
from pipeline.checks import check_config
from pipeline.engines.choice import choose_engine
from pipeline.finish import claim_version, last_manifest, make_manifest, publish
from pipeline.inputs import Inputs, find_inputs
from pipeline.probe import count_documents, locate_document, probe_documents
from pipeline.records import unbuilt
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from pipeline.survey import Survey
from pipeline.tools import open_tools
from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.errors import DatasetError
from schemas.manifest import Manifest
from schemas.plan import WorkItem


@dataclass(frozen=True)
class BuildRequest:
    """What the command line asks for."""

    config: BuildConfig
    inputs: Sequence[str | Path]
    output: str | Path
    executor: str
    workers: int
    address: str = ""
    dashboard: bool = False
    card: CardInfo = field(default_factory=CardInfo)


class BuildWatcher(Protocol):
    """Sees what a build does; see `jobs/progress/build_progress.py`."""

    def stage(self, text: str) -> None:
        """A stage without items begins."""

    def note(self, text: str) -> None:
        """Something a person should know."""

    def started(self, state: BuildState) -> None:
        """Items are being built; `state` is kept up to date."""

    def changed(self) -> None:
        """The state has changed."""


def build_dataset(request: BuildRequest, watcher: BuildWatcher) -> Manifest:
    """Build, continue or grow the data set at `request.output`; returns its manifest.

    Raises `UserError`: before anything is written when the request cannot be carried out, later for
    what only the documents show (an id that occurs twice, too much unusable input).
    """
    check_address(request.executor, request.address)
    store = open_store(request.output)
    try:
        return _build_dataset(request, store, watcher)
    except OSError as error:
        raise disk_error(store.place, error) from error


def check_request(
    request: BuildRequest, store: Store, watcher: BuildWatcher, is_written: bool = True
) -> Inputs:
    """The inputs of a request that a build into `store` can be tried with; raises `UserError`."""
    check_config(request.config)
    choose_engine()
    check_place(store, is_written)
    inputs = find_inputs(request.inputs, folder_of(store))
    if inputs.skipped:
        watcher.note(f"Not read: {inputs.skipped_by_reason()}")
    return inputs


def _build_dataset(request: BuildRequest, store: Store, watcher: BuildWatcher) -> Manifest:
    inputs = check_request(request, store, watcher)
    store.remove_leftovers()
    with planned_build(request.config, inputs, store, watcher) as planned:
        return _Build(request, store, planned, watcher).run()


class _Build:
    """One driver at work on a plan."""

    def __init__(
        self, request: BuildRequest, store: Store, planned: PlannedBuild, watcher: BuildWatcher
    ) -> None:
        self._request, self._store, self._planned = request, store, planned
        self._watcher, self._reader = watcher, planned.reader
        self._state = BuildState(
            total=planned.reader.plan.num_items,
            total_source_bytes=planned.reader.source_bytes(),
            executor=request.executor,
            num_workers=request.workers,
        )
        self._status = StatusWriter(store, self._state, _status_seconds(store))

    def run(self) -> Manifest:
        """Build what is not built, then describe the data set as a whole."""
        try:
            manifest = self._run()
        except OSError as error:
            explained = disk_error(self._store.place, error)
            self._status.finish(str(explained))
            raise explained from error
        except BaseException as error:
            self._status.finish(str(error) or type(error).__name__)
            raise
        self._status.finish(None)
        return manifest

    def _run(self) -> Manifest:
        pending: Iterable[WorkItem] = self._unbuilt()
        lost: list[WorkItem] = []
        while True:
            self._build_items(pending)
            self._stage("Reading the records")
            with Survey(self._store) as survey:
                survey.take(self._watched(self._reader.items()))
                if not survey.lost:
                    return self._finish(survey)
            if lost == survey.lost:
                raise DatasetError(
                    f"{self._store.place}: files of finished items keep getting lost, first those "
                    f"of {lost[0].name}; look for another program that deletes or changes them, "
                    "and run the same command again"
                )
            pending = lost = survey.lost
            self._watcher.note(
                f"{survey.num_lost} items have damaged or missing files and are built again, the "
                f"first is {lost[0].name}"
            )

    def _unbuilt(self) -> Iterator[WorkItem]:
        return unbuilt(self._store, self._reader.items())

    def _build_items(self, items: Iterable[WorkItem]) -> None:
        """Build `items`: a list, or everything that is unbuilt, which is gone through twice."""
        again = items if isinstance(items, list) else self._unbuilt()
        count = check_sources(items, self._planned.inputs)
        self._state.before = self._state.total - self._state.done - count
        self._watcher.started(self._state)
        if not count:
            return
        self._state.message = "Building items"
        options = self._options(count)
        with open_executor(options) as executor:
            for text in options.notes:
                self._watcher.note(text)
            drive(executor, iter(again), self._work(), self._state, self._changed, Limits())
        if self._state.retries or self._state.excluded:
            self._store.remove_leftovers()

    def _stage(self, text: str) -> None:
        self._state.message = text
        self._watcher.stage(text)

    def _watched(self, items: Iterable[WorkItem]) -> Iterator[WorkItem]:
        """The items, with the status kept fresh while they are gone through."""
        for item in items:
            self._status.maybe_write()
            yield item

    def _changed(self) -> None:
        self._watcher.changed()
        self._status.maybe_write()

    def _work(self) -> Work:
        sources = {
            name: file.resolve() if isinstance(file, Path) else file
            for name, file in self._planned.inputs.files.items()
        }
        store = self._store
        place = str(store.folder.resolve()) if isinstance(store, LocalStore) else store.place
        ratio = self._request.config.max_bad_ratio
        context = BuildContext(place, sources, self._reader.plan.recipe, ratio)
        return Work(context, build_work_item, count_documents, probe_documents, locate_document)

    def _options(self, count: int) -> ExecutorOptions:
        request = self._request
        return ExecutorOptions(
            name=request.executor,
            workers=max(1, min(request.workers, count)),
            address=request.address,
            memory_bytes=worker_memory_bytes(self._reader.plan, request.config),
            dashboard=request.dashboard,
        )

    def _finish(self, survey: Survey) -> Manifest:
        self._stage("Writing the shard table and the manifest")
        ratio, version = self._request.config.max_bad_ratio, self._planned.version
        manifest = make_manifest(self._store, self._reader, survey, version, ratio)
        open_tools(self._store, self._reader.plan.recipe)
        manifest = claim_version(self._store, manifest)
        last = last_manifest(self._store)
        if last is not None and last.version == manifest.version:
            said = (self._request.config, self._request.card)
            write_pages(self._store, self._reader, survey, manifest, said)
        publish(self._store)
        return manifest


def _status_seconds(store: Store) -> float:
    return LOCAL_EVERY_SECONDS if isinstance(store, LocalStore) else REMOTE_EVERY_SECONDS
