"""`RowStream`, verified and globally shuffled, against a random gather of the same bytes in RAM,
and with `--peers` against every other loader that is installed.

    python benchmarks/stream.py [--peers [NAME ...]] [--rounds 9] [--quick]

100,000 GLM samples, one a row of 4,144 bytes; shuffled batches of 64; one process; page cache warm
but for the cold start; interleaved in one run (`peers/race.py`). The gather takes 64 random rows at
a time from four arrays. Prints one JSON line; with `--peers` a table (`make bench-peers`).
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers.loader import NAMES
from benchmarks.peers.race import OURS, YARDSTICK, Course, Result, run_race
from benchmarks.peers.table import table

QUICK = Course(rows=4096, rounds=2, slice_seconds=0.1, starts=1, quality_batches=20)


def summary(results: dict[str, Result]) -> dict[str, object]:
    """What is printed without peers."""
    ours, gather = results[OURS], results[YARDSTICK]
    return {
        "benchmark": "stream",
        "rows_per_second": round(ours.rows_per_second),
        "ram_gather_rows_per_second": round(gather.rows_per_second),
        "ratio": round(ours.ratio(gather), 2),
        "first_batch_seconds": round(ours.first_seconds, 4),
        "resume_seconds": round(ours.resume_seconds, 4),
        "cold_first_batch_seconds": round(ours.cold_seconds, 3),
        "cold_pages_resident": round(ours.cold_pages, 3),
        "import_seconds": round(ours.import_seconds, 3),
    }


def report(text: str) -> None:
    """Progress, beside what is printed."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="See the module's docstring.")
    parser.add_argument("--peers", nargs="*", choices=NAMES[2:], metavar="NAME")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="few rows, short rounds: for tests")
    asked = parser.parse_args([] if arguments is None else arguments)
    peers = NAMES[2:] if asked.peers == [] else tuple(asked.peers or ())
    course = QUICK if asked.quick else Course()
    course = replace(course, rounds=asked.rounds or course.rounds)
    results = run_race((YARDSTICK, OURS, *peers), course, report)
    for result in (results[YARDSTICK], results[OURS]):
        if result.problem:
            raise RuntimeError(f"{result.loader.name}: {result.problem}")
    print(json.dumps(summary(results)) if asked.peers is None else table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
