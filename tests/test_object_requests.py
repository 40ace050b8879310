"""Requests to object storage: so many for each item and each shard, as docs/scale.md says."""

from pathlib import Path

import pytest

from benchmarks import object_requests

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")


def test_what_a_request_is_about_is_told_by_its_name() -> None:
    names = {
        "/sets/d/records/pass-0000/00000/00000000-ab.json": "records/",
        "/sets/d/records/pass-0000/00000/00000000-ab.documents.arrow": "documents",
        "list-type=2&prefix=d%2Fshards%2Ftrain%2Fpass-0000%2F00000%2F": "shards/",
        "/sets/d/plan.json": "other",
    }
    assert {name: object_requests.kind_of(name) for name in names} == names


def test_items_and_shards_make_as_many_requests_as_is_written_down(tmp_path: Path) -> None:
    few, many = object_requests.measure(tmp_path)
    assert few.items < many.items
    assert few.shards < many.shards
    assert object_requests.per_item(few, many) == {
        "PUT shards/": 1.0,
        "HEAD shards/": 1.0,
        "PUT documents": 1.0,
        "HEAD documents": 2.0,
        "GET documents": 1.0,
        "PUT records/": 1.0,
        "HEAD records/": 3.0,
        "LIST records/": 2.0,
        "GET records/": 1.0,
    }
