"""The fault matrix: every fault of every file at every moment, and what a reader makes of it.

`python -m tests.fault_matrix` prints the tables of docs/faults.md, which test_fault_matrix.py
compares with the page. Cells run in child processes, so that one that kills its process is seen;
BLANKSTREAM_FULL=1 damages many bits of each region.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.shard_reading.open_shards import MAPPED_FORMAT
from schemas.samples import SHARD_FORMATS
from tests.fault_matrix_cells import COPY, LOCAL, MOMENTS, PLACES, SOURCE, Cell, World, all_cells
from tests.fault_matrix_faults import FAULTS
from tests.fault_matrix_runs import outcome_of

BITS_OF_A_REGION = 12 if os.environ.get("BLANKSTREAM_FULL") else 1
NUM_CHILDREN = 2
CHILD = [sys.executable, "-m", "tests.fault_matrix"]
_CHILD_SECONDS = 800.0
_IN_MEMORY = Path("/dev/shm")
"""A file system on which making and removing thousands of small folders takes no time."""
_ROOT = Path(__file__).parent.parent
_DECODED = {tuple(name for name in SHARD_FORMATS if name != MAPPED_FORMAT): "decoded formats"}
_TITLES = {
    LOCAL: "In a local folder",
    COPY: "Behind a URL: the copy in the cache",
    SOURCE: "Behind a URL: the source",
}


@dataclass(frozen=True)
class Result:
    """What came of a cell."""

    cell: Cell
    outcome: str
    message: str


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder that is gone afterwards, in memory where the system has a place for files there."""
    place = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="blankstream-", dir=place) as name:
        yield Path(name)


def run_matrix(folder: Path, positions: int = BITS_OF_A_REGION) -> list[Result]:
    """Every cell, in child processes that work below `folder`."""
    world = World(folder / "world")
    cells = all_cells(world, positions)

    def part(child: int) -> dict[int, tuple[str, str]]:
        return run_cells(folder, positions, list(range(child, len(cells), NUM_CHILDREN)))

    with ThreadPoolExecutor(NUM_CHILDREN) as threads:
        parts = list(threads.map(part, range(NUM_CHILDREN)))
    found = {number: one for each in parts for number, one in each.items()}
    return [Result(cell, *found[number]) for number, cell in enumerate(cells)]


def run_cells(folder: Path, positions: int, numbers: list[int]) -> dict[int, tuple[str, str]]:
    """Outcome and message by the number of the cell; after a death the next process goes on."""
    found: dict[int, tuple[str, str]] = {}
    while len(found) < len(numbers):
        found |= _run_child(folder, positions, numbers[len(found) :])
    return found


def _run_child(folder: Path, positions: int, numbers: list[int]) -> dict[int, tuple[str, str]]:
    """Outcomes of cells from the first one on, up to one that ends its process."""
    with folder_in_memory() as base:
        child = subprocess.run(
            [*CHILD, str(folder / "world"), str(positions), str(base)],
            input=json.dumps(numbers),
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            timeout=_CHILD_SECONDS,
            check=False,
        )
    found = dict(zip(numbers, map(json.loads, child.stdout.splitlines()), strict=False))
    if len(found) < len(numbers):
        assert child.returncode < 0, "an error of the matrix itself, see above"
        found[numbers[len(found)]] = (f"process ended with {child.returncode}", "")
    return {number: (outcome, message) for number, (outcome, message) in found.items()}


def markdown(results: list[Result]) -> str:
    """The tables of docs/faults.md, one for each place."""
    return "\n\n".join(f"### {_TITLES[place]}\n\n{_table(results, place)}" for place in PLACES)


def _table(results: list[Result], place: str) -> str:
    moments = [at for at in MOMENTS if any((place, at) == _when(one) for one in results)]
    lines = [
        "| file | fault | " + " | ".join(moments) + " |",
        "|" + "---|" * (2 + len(moments)),
    ]
    for target, faults in FAULTS.items():
        for fault in faults:
            found = [
                one
                for one in results
                if (one.cell.place, one.cell.target, one.cell.fault) == (place, target, fault)
            ]
            if found:
                words = (_word([one for one in found if one.cell.moment == at]) for at in moments)
                lines.append(f"| {target} | {fault} | {' | '.join(words)} |")
    return "\n".join(lines)


def _when(result: Result) -> tuple[str, str]:
    return result.cell.place, result.cell.moment


def _word(results: list[Result]) -> str:
    """One outcome, or what came of each format."""
    outcomes: dict[str, list[str]] = {}
    for name in SHARD_FORMATS:
        found = sorted({one.outcome for one in results if one.cell.shard_format == name})
        if found:
            outcomes.setdefault(" or ".join(found), []).append(name)
    if len(outcomes) == 1:
        return next(iter(outcomes))
    return "; ".join(
        f"{outcome} ({_DECODED.get(tuple(names), ', '.join(names))})"
        for outcome, names in outcomes.items()
    )


def _serve(cells: list[Cell], numbers: list[int], world: World, base: Path) -> Iterator[str]:
    """The outcome of each cell as a line, as soon as it is known, run in a folder below `base`."""
    for number in numbers:
        with tempfile.TemporaryDirectory(dir=base) as folder:
            yield json.dumps(outcome_of(world, cells[number], Path(folder)))


def main(arguments: list[str]) -> None:
    """Print the tables, or as a child, given the folders of a world and for cells, outcomes."""
    if arguments:
        folder, positions, base = arguments
        world = World(Path(folder))
        cells = all_cells(world, int(positions))
        for line in _serve(cells, json.load(sys.stdin), world, Path(base)):
            print(line, flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="blankstream-") as name:
        print(markdown(run_matrix(Path(name))))


if __name__ == "__main__":
    main(sys.argv[1:])
