"""Text for the benchmarks: the shared English corpus, else Python's help topics."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics

SHARED = Path(__file__).parents[2] / "shared" / "data" / "corpus" / "english"


def texts(megabytes: float) -> Iterator[str]:
    """About `megabytes` of documents, the same share of each file of the corpus."""
    files = sorted(SHARED.glob("*.jsonl.gz"))
    if not files:
        yield from topics.topics.values()
        return
    for file in files:
        left = megabytes * 1e6 / len(files)
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                yield text
                left -= len(text.encode())
                if left <= 0:
                    break


def write_jsonl(path: Path, megabytes: float) -> float:
    """Write `texts(megabytes)` as JSONL; returns the megabytes of text."""
    size = 0
    with path.open("w", encoding="utf-8") as stream:
        for number, text in enumerate(texts(megabytes)):
            size += len(text.encode())
            stream.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
    return size / 1e6
