"""Requests that a build onto object storage makes, counted at the server (moto's, on loopback).

The same text is built twice, once cut into few items and once into many, each with one shard of
each split that has rows; what grows with the items is per item, the rest is of the build. Prints
one JSON line.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.corpus import write_jsonl
from jobs.build import BuildRequest, build_dataset
from pipeline.stores.choice import open_store
from schemas.manifest import Manifest
from tests import object_server
from tests.corpus import NoProgress, small_config

MEGABYTES = 1.0
FEW_BYTES, MANY_BYTES = 200_000, 20_000


class CountingServer(object_server.ObjectServer):
    """Counts requests as (verb, kind of object): verbs are those of HTTP, and LIST."""

    def __init__(self, application: Any) -> None:
        super().__init__(application)
        self.counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_list = "list-type" in environ.get("QUERY_STRING", "")
        verb = "LIST" if is_list else environ["REQUEST_METHOD"]
        name = environ["QUERY_STRING"] if is_list else environ["PATH_INFO"]
        self.counts[verb, kind_of(name)] += 1
        return super().__call__(environ, start_response)


def kind_of(name: str) -> str:
    """What a request is about."""
    for kind in ("documents.arrow", "records", "shards/", "quarantine"):
        if kind in name.replace("%2F", "/"):
            return kind.split(".")[0].rstrip("/")
    return "other"


@contextmanager
def counting_server() -> Iterator[CountingServer]:
    """A running server with a bucket `sets`."""
    with (
        patch.object(object_server, "ObjectServer", CountingServer),
        object_server.object_server() as server,
    ):
        assert isinstance(server, CountingServer)
        server.put("/sets")
        yield server


def build(server: CountingServer, text: Path, item_bytes: int) -> tuple[int, int, Counter[Any]]:
    """Items, shards and requests of one build."""
    url = f"s3://sets/{item_bytes}"
    config = small_config(item_bytes=item_bytes, shard_rows=1 << 16)
    server.counts.clear()
    progress = NoProgress()
    manifest = build_dataset(BuildRequest(config, [text], url, "serial", 1), progress)
    counts = server.counts.copy()
    return progress.state.total, shards(manifest), counts


def shards(manifest: Manifest) -> int:
    """Shards of the data set."""
    return sum(block.shards for block in manifest.table_blocks)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, counting_server() as server:
        text = Path(name) / "text.jsonl"
        write_jsonl(text, MEGABYTES)
        few, many = (build(server, text, size) for size in (FEW_BYTES, MANY_BYTES))
        assert open_store(f"s3://sets/{MANY_BYTES}").size("manifest.json")
    added = many[0] - few[0]
    kinds = sorted(few[2] | many[2])
    per_item = {f"{verb} {kind}": (many[2][verb, kind] - few[2][verb, kind]) / added for verb, kind in kinds}
    result = {
        "benchmark": "object_requests",
        "items": [few[0], many[0]],
        "shards": [few[1], many[1]],
        "per_item": {name: round(count, 2) for name, count in per_item.items()},
        "few": {f"{verb} {kind}": few[2][verb, kind] for verb, kind in kinds},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
