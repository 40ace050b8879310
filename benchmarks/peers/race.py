"""The race: every loader on the same samples, each in a process of its own, in turns.

First each loader by itself: its data set is written, dropped from the page cache and opened cold by
a fresh process, then warm. Then the rounds: one loader runs for a slice of time while the others
rest. Ratios are medians of those within a round, so that what else the machine does meanwhile
touches all alike.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.peers.entrant import Entrant, LoaderFailedError
from benchmarks.peers.glm import glm_rows
from benchmarks.peers.loader import Loader, find_loader
from benchmarks.peers.page_cache import drop, files_below, resident_share
from benchmarks.peers.samples import BATCH_ROWS, ROWS

YARDSTICK, OURS = "ram_gather", "row_stream"


@dataclass(frozen=True)
class Course:
    """How long the race is: rows of the data set, rounds, seconds of a slice of one, longest
    warm-up, and how often a start is timed."""

    rows: int = ROWS
    rounds: int = 9
    slice_seconds: float = 1.0
    warm_up_seconds: float = 15.0
    starts: int = 5
    quality_batches: int = 200

    @property
    def middle(self) -> int:
        """Where a run resumes: the middle of the first epoch, between two batches."""
        return self.rows // 2 // BATCH_ROWS * BATCH_ROWS


@dataclass
class Result:
    """What is known of one loader. Seconds; `cold_pages` is the share of its files that stayed in
    the page cache before the cold start, `problem` why there is no more."""

    loader: Loader
    bytes_per_row: float = 0.0
    import_seconds: float = 0.0
    cold_seconds: float = 0.0
    cold_pages: float = 0.0
    first_seconds: float = 0.0
    resume_seconds: float = 0.0
    resumes_exactly: bool = False
    distance: float | None = None
    speeds: list[float] = field(default_factory=list)
    problem: str = ""

    @property
    def rows_per_second(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.speeds)

    def ratio(self, other: "Result") -> float:
        """Median over the rounds of this speed over the other's."""
        pairs = zip(self.speeds, other.speeds, strict=True)
        return statistics.median(own / theirs for own, theirs in pairs)


Report = Callable[[str], None]


def run_race(names: Sequence[str], course: Course, report: Report) -> dict[str, Result]:
    """Result by name, each loader of `names`, in order; `report` is told what is going on."""
    results = {name: Result(find_loader(name)) for name in names}
    for result in results.values():
        if result.loader.installed_version is None:
            result.problem = "not installed"
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        samples = folder / "samples.npy"
        np.save(samples, glm_rows(course.rows))
        entrants = {}
        for name in running(results):
            report(f"{name}: data set, start")
            with noted(results[name]):
                write(name, folder, results[name], course)
                entrants[name] = stack.enter_context(Entrant(name, folder))
                measure_starts(entrants[name], folder / name, results[name], course)
                measure_order(entrants[name], samples, results[name], course)
        run_rounds(entrants, results, course, report)
    return results


def running(results: dict[str, Result]) -> list[str]:
    """Who has no problem yet."""
    return [name for name, result in results.items() if not result.problem]


@contextlib.contextmanager
def noted(result: Result) -> Iterator[None]:
    """A loader that fails is out of the race, and nobody else."""
    try:
        yield
    except LoaderFailedError as error:
        result.problem = f"failed: {error}"


def write(name: str, folder: Path, result: Result, course: Course) -> None:
    """Write the loader's data set, by a process whose memory is then free again."""
    with Entrant(name, folder) as writer:
        writer.ask("write", str(folder / "samples.npy"))
    files = files_below(folder / name)
    result.bytes_per_row = sum(path.stat().st_size for path in files) / course.rows
    drop(files)
    result.cold_pages = resident_share(files)


def measure_starts(entrant: Entrant, folder: Path, result: Result, course: Course) -> None:
    """The first batch of a fresh process, cold; then of one that is warm, and after resuming."""
    result.import_seconds, result.cold_seconds = entrant.ask("start_up")
    read(files_below(folder))
    result.first_seconds = entrant.ask("first", 0, course.starts)
    result.resume_seconds = entrant.ask("first", course.middle, course.starts)


def read(paths: Iterable[Path]) -> None:
    """Bring files into the page cache."""
    for path in paths:
        with path.open("rb") as stream:
            while stream.read(1 << 20):
                pass


def measure_order(entrant: Entrant, samples: Path, result: Result, course: Course) -> None:
    """How well it shuffles, and whether it resumes with the right rows; then an epoch's warm-up."""
    result.distance = entrant.ask("shuffle", str(samples), course.quality_batches)
    result.resumes_exactly = entrant.ask("resumes_exactly", course.middle)
    entrant.ask("warm_up", course.rows, course.warm_up_seconds)


def run_rounds(
    entrants: dict[str, Entrant], results: dict[str, Result], course: Course, report: Report
) -> None:
    """Everybody's speed in every round."""
    for number in range(course.rounds):
        report(f"round {number + 1} of {course.rounds}")
        for name in running(results):
            with noted(results[name]):
                results[name].speeds.append(entrants[name].ask("run", course.slice_seconds))
