"""Requests that a build onto object storage makes, counted at the server (moto's, on loopback).

The same text is built twice, cut into few items and into many: the difference is what an item
costs, the rest belongs to the build. Inputs are local. Prints one JSON line.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from benchmarks.corpus import write_jsonl
from jobs.build import BuildRequest, build_dataset
from tests import object_server
from tests.corpus import NoProgress, small_config

DOCUMENTS, RECORDS, SHARDS = "documents", "records/", "shards/"
MEGABYTES = 0.3
FEW_BYTES, MANY_BYTES = 100_000, 20_000


class CountingServer(object_server.ObjectServer):
    """Counts requests as (verb, kind of object): verbs are those of HTTP, and LIST."""

    def __init__(self, application: Any) -> None:
        super().__init__(application)
        self.counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Count one request and answer it."""
        is_list = "list-type" in environ.get("QUERY_STRING", "")
        verb = "LIST" if is_list else environ["REQUEST_METHOD"]
        name = environ["QUERY_STRING"] if is_list else environ["PATH_INFO"]
        self.counts[verb, kind_of(name)] += 1
        return super().__call__(environ, start_response)


def kind_of(name: str) -> str:
    """What a request is about."""
    found = (kind for kind in (DOCUMENTS, RECORDS, SHARDS) if kind in unquote(name))
    return next(found, "other")


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


@dataclass(frozen=True)
class Counted:
    """Items, shards and requests of one build."""

    items: int
    shards: int
    requests: Counter[tuple[str, str]]


def build(server: CountingServer, text: Path, item_bytes: int) -> Counted:
    """Build `text` in items of `item_bytes`, serially."""
    url, progress = f"s3://sets/{item_bytes}", NoProgress()
    config = small_config(item_bytes=item_bytes, shard_rows=1 << 16)
    server.counts.clear()
    manifest = build_dataset(BuildRequest(config, [text], url, "serial", 1), progress)
    num_shards = sum(block.shards for block in manifest.table_blocks)
    return Counted(progress.state.total, num_shards, server.counts.copy())


def per_item(few: Counted, many: Counted) -> dict[str, float]:
    """Requests that an item more makes, by verb and kind; those about shards are per shard."""
    found = {}
    for verb, kind in sorted(few.requests | many.requests):
        added = many.requests[verb, kind] - few.requests[verb, kind]
        each = many.shards - few.shards if kind == SHARDS else many.items - few.items
        found[f"{verb} {kind}"] = round(added / each, 2)
    return {name: count for name, count in found.items() if count}


def measure(folder: Path) -> tuple[Counted, Counted]:
    """The two builds."""
    text = folder / "text.jsonl"
    write_jsonl(text, MEGABYTES)
    with counting_server() as server:
        return build(server, text, FEW_BYTES), build(server, text, MANY_BYTES)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        few, many = measure(Path(name))
    result = {
        "benchmark": "object_requests",
        "items": [few.items, many.items],
        "shards": [few.shards, many.shards],
        "requests": [sum(few.requests.values()), sum(many.requests.values())],
        "per_item": per_item(few, many),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
