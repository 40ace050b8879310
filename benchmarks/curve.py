"""The loss curve of a run as a table: `python -m benchmarks.curve RUN`.

Each line is the mean over the steps since the line before, from RUN/metrics.jsonl.
"""

import itertools
import json
import statistics
import sys
from pathlib import Path

LINES = 10


def main(run: Path) -> None:
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    names = ["loss", *sorted(name for name in steps[-1] if name.startswith("loss/"))]
    print("| steps to | " + " | ".join(name.removeprefix("loss/") for name in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    edges = [0, *(len(steps) * line // LINES for line in range(1, LINES + 1))]
    for start, stop in itertools.pairwise(edges):
        part = steps[start:stop]
        means = [statistics.fmean(one[name] for one in part if name in one) for name in names]
        print(f"| {part[-1]['step']} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    speed = statistics.median(one["tokens_per_second"] for one in steps)
    waited = statistics.fmean(one["data_wait_ratio"] for one in steps[1:])
    print(f"median {speed:,.0f} tokens/s; {waited:.2%} of the time behind step 1 waiting for data")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
