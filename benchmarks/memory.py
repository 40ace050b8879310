"""Peak memory of a worker: a serial build of one file of 1 GB, as JSONL and as JSONL.gz.

The plain file is cut into items; the compressed one is a single item, so that everything a worker
holds grows as far as it can. The build runs in a process of its own, driver and worker in one, and
its peak resident size is what the kernel says. Prints one JSON line.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.corpus import texts

MEGABYTES = float(os.environ.get("BLANKSTREAM_BENCH_MEGABYTES", "1000"))

BUILD = """
import resource, sys
from jobs.build import BuildRequest, build_dataset
from jobs.options import find_preset
from pathlib import Path
from schemas.config import load_config
from tests.corpus import NoProgress
config = load_config(find_preset("glm-base"), ["build.tokenizer.sample_characters=2000000"]).build
request = BuildRequest(config, [sys.argv[1]], Path(sys.argv[2]), "serial", 1)
build_dataset(request, NoProgress())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def repeat(path: Path, megabytes: float) -> None:
    """Write the corpus to `path` again and again, with ids that differ, up to `megabytes`."""
    size, number = 0, 0
    with path.open("w", encoding="utf-8") as stream:
        while size < megabytes * 1e6:
            for text in texts(min(megabytes, 200.0)):
                size += len(text.encode())
                number += 1
                record = {"id": str(number), "text": text}
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def peak_megabytes(file: Path, folder: Path) -> float:
    """Peak resident megabytes of a serial build of `file`."""
    command = [sys.executable, "-c", BUILD, str(file), str(folder / f"{file.name}.d")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    shutil.rmtree(folder / f"{file.name}.d")
    return int(run.stdout.split()[-1]) / 1024 * 1.048576


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "text.jsonl"
        repeat(plain, MEGABYTES)
        megabytes = plain.stat().st_size / 1e6
        peaks = {"jsonl": peak_megabytes(plain, Path(name))}
        packed = Path(name) / "text.jsonl.gz"
        with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        plain.unlink()
        peaks["jsonl.gz"] = peak_megabytes(packed, Path(name))
    result = {
        "benchmark": "memory",
        "input_megabytes": round(megabytes),
        "peak_megabytes": {kind: round(peak) for kind, peak in peaks.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
