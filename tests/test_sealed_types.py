"""Whatever a stranger seals is read, or refused with one message; nothing hangs, nothing raises
anything else."""

import copy as copies
import json
import os
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.care.inspection import VerifyRequest
from jobs.care.verify import verify_dataset
from jobs.progress.count_items import count_items
from jobs.progress.status import read_status
from pipeline.dataset import open_dataset
from pipeline.shard_formats.verified_file import VerifiedFile
from pipeline.stores.local import LocalStore
from pipeline.stream import RowStream
from schemas.config import digest
from schemas.errors import BlankstreamError, CorruptDataError, DatasetError
from schemas.manifest import FileHashes, Manifest
from schemas.plan import Plan
from schemas.record import ItemRecord
from schemas.samples import SCHEMA_VERSION
from schemas.sealed import read_regular, seal, unseal
from tests.corpus import the_file
from tests.datasets import reseal
from tests.resealed import RECORD

ODD = [-1, 2**63, 2**70, 10**30, 1.5, float("inf"), float("nan"), None, True, "../../x", "/x", ""]
ODD += [[], {}, "a\0b", "\ud800", "x" * 5000, [[1]], {"a": 1}, -(2**70), 0]  # type: ignore[list-item]
FULL = bool(os.environ.get("BLANKSTREAM_FULL"))
LEAVES = {"plan.json": 20, "manifest.json": 16, RECORD.format(3): 16}
SECONDS = 10


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A copy of `built`, in which one file at a time is replaced."""
    return Path(shutil.copytree(built, tmp_path_factory.mktemp("resealed") / "d"))


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in nested plain values, of a list to the first two members."""
    members = value.items() if isinstance(value, dict) else enumerate(value[:2])
    for key, member in members:
        yield (*path, key)
        if isinstance(member, dict | list):
            yield from places_of(member, (*path, key))


def with_value(content: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = copies.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return dict(changed)


def changes_of(path: Path, count: int) -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    """Some changes of a sealed file: place, value, and the text sealed anew."""
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["digest"]
    rng = random.Random(path.name)
    places = sorted(places_of(content), key=lambda _: rng.random())
    few = [place for place in places if place[0] not in ("statistics", "counts")]
    many = [place for place in places if place[0] in ("statistics", "counts")]
    for place in places if FULL else few[:count] + many[: count // 2]:
        for value in ODD if FULL else rng.sample(ODD, 2):
            changed = with_value(content, place, value)
            if place[0] != "schema_version":
                yield place, value, seal_any(changed)


def seal_any(content: dict[str, Any]) -> str:
    try:
        return seal(content)
    except UnicodeEncodeError:
        return json.dumps(content)


def stream(dataset: Path) -> None:
    with RowStream(dataset, batch_rows=16, epochs=1) as rows:
        for _ in rows:
            pass


def look_at(dataset: Path) -> Iterator[Callable[[], object]]:
    """What people do first with a data set that they were given."""
    store = LocalStore(dataset)
    yield partial(verify_dataset, VerifyRequest(dataset), lambda size: None)
    yield lambda: read_status(store, lambda: count_items(store))
    yield partial(open_dataset, dataset)
    yield partial(stream, dataset)


def check_bounded(dataset: Path, told: object) -> None:
    for look in look_at(dataset):
        began = time.monotonic()
        try:
            look()
        except BlankstreamError:
            pass
        except Exception as error:
            raise AssertionError(told) from error
        assert time.monotonic() - began < SECONDS, told


def kept_copies(dataset: Path, path: Path) -> list[Path]:
    """Every file that says the same as the one at `path`."""
    if path.name == "plan.json":
        return [path, *dataset.glob("plan/*.json")]
    return [path, dataset / "manifests/0000.json"] if path.name == "manifest.json" else [path]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("pattern", LEAVES)
def test_no_value_in_a_sealed_file_leads_to_anything_but_a_message(
    copy: Path, pattern: str
) -> None:
    path = the_file(copy, pattern)
    for place, value, text in changes_of(path, LEAVES[pattern]):
        paths = kept_copies(copy, path)
        before = {one: one.read_bytes() for one in (*paths, copy / "manifest.json")}
        for one in paths:
            one.write_text(text, encoding="utf-8")
        if pattern == "plan.json":
            trust_plan(copy, text)
        try:
            check_bounded(copy, (place, value))
        finally:
            for one, content in before.items():
                one.write_bytes(content)


def trust_plan(dataset: Path, text: str) -> None:
    """Let the manifest name the plan `text`, where that can be read."""
    try:
        plan = Plan.from_json(text, "plan.json")
    except DatasetError:
        return
    digests = {"plan_digest": plan.digest, "recipe_digest": plan.recipe_digest}
    reseal(dataset / "manifest.json", **digests)


READ: dict[str, Callable[[str, str], Any]] = {
    "plan.json": Plan.from_json,
    "manifest.json": Manifest.from_json,
    RECORD.format(3): ItemRecord.from_json,
}


def refused(path: Path, read: Callable[[str, str], Any], *change: Any) -> str:
    """What is said of the file with one value replaced, place and value."""
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["digest"]
    with pytest.raises(DatasetError) as caught:
        read(seal_any(with_value(content, *change)), "x")
    return str(caught.value)


@pytest.mark.parametrize("value", [-1, 2**64, 1.5, True, None, "7", [], {}])
def test_a_number_that_is_none_is_named_with_its_key(built: Path, value: Any) -> None:
    for pattern, place in (
        ("plan.json", ("generations", 0, "stop_pass")),
        ("manifest.json", ("table", "hashes", "bytes")),
        ("manifest.json", ("table_blocks", 0, "first_row")),
        ("manifest.json", ("rows", "train")),
        (RECORD.format(3), ("documents", "hashes", "xxh3", 1)),
        (RECORD.format(3), ("shards", 0, "rows")),
        (RECORD.format(3), ("counts", "documents")),
        (RECORD.format(3), ("statistics", "train", "blank", "lawful", "coverage", 2)),
    ):
        said = refused(the_file(built, pattern), READ[pattern], place, value)
        assert "x: damaged, or not written by this project (ValueError: " in said
        assert all(f"{key}: " in said for key in place[:2] if key in (*place[:1], "hashes")), said


@pytest.mark.parametrize(
    ("pattern", "place", "value"),
    [
        ("manifest.json", ("version",), 10**9 + 1),
        ("manifest.json", ("row_format", "dtype"), "x"),
        ("manifest.json", ("row_format", "row_tokens"), 0),
        ("manifest.json", ("table_blocks", 0, "split"), "test"),
        ("manifest.json", ("tokenizer", "special", "num_sentinels"), 10_001),
        ("manifest.json", ("rows",), {"train": 1}),
        ("plan.json", ("generations", 0, "stop_pass"), 10_000),
        ("plan.json", ("generations", 0, "first_pass"), 9),
        ("plan.json", ("generations", 0, "slices"), None),
        ("plan.json", ("recipe",), {}),
        ("plan.json", ("recipe", "build", "record_batch_rows"), -1),
        ("plan.json", ("recipe", "tokenizer", "vocab_size"), 0),
        (RECORD.format(3), ("shards", 0, "split"), "test"),
        (RECORD.format(3), ("shards", 0, "hashes", "sha256"), "../x"),
        (RECORD.format(3), ("pass_number",), 10_000),
    ],
)
def test_a_value_out_of_its_range_is_refused(
    built: Path, pattern: str, place: tuple[Any, ...], value: Any
) -> None:
    said = refused(the_file(built, pattern), READ[pattern], place, value)
    assert "damaged, or not written by this project" in said


@pytest.mark.parametrize("pattern", READ)
def test_what_was_written_is_read_and_written_again_to_the_same_bytes(
    built: Path, pattern: str
) -> None:
    text = the_file(built, pattern).read_text(encoding="utf-8")
    assert READ[pattern](text, "x").to_json() == text


def test_a_manifest_of_a_billion_versions_is_one_problem(copy: Path) -> None:
    path = copy / "manifest.json"
    before = path.read_bytes()
    reseal(path, version=10**9)
    try:
        found = verify_dataset(VerifyRequest(copy), lambda size: None)
    finally:
        path.write_bytes(before)
    assert any("is of version 1000000000, found 1 versions" in one for one in found.problems)
    assert len(found.problems) < 200


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "1", '{"a": 1e999}', "\ud800"])
def test_text_that_is_no_sealed_mapping_is_one_error(text: str) -> None:
    with pytest.raises(DatasetError, match="damaged, or not written"):
        unseal(text, "x", "mend it", lambda content: content)


def test_another_schema_version_is_told_as_such() -> None:
    text = json.dumps({"schema_version": SCHEMA_VERSION + 1})
    content = json.loads(text)
    with pytest.raises(DatasetError, match="this release reads"):
        unseal(json.dumps(content | {"digest": digest(content)}), "x", "mend it", dict)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(path.parent, os.O_RDONLY)
        try:  # a path of a socket must be short
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


KINDS = (a_folder, a_pipe, a_socket, a_device, a_loop)


@pytest.mark.parametrize("make", KINDS)
def test_only_regular_files_are_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x")
    store = LocalStore(tmp_path)
    assert store.size("x") is None
    for read in (partial(read_regular, tmp_path / "x"), partial(store.read, "x")):
        with pytest.raises(FileNotFoundError):
            read()
    with pytest.raises(FileNotFoundError), store.local("x"):
        pass
    with pytest.raises(CorruptDataError, match="x: "):
        VerifiedFile(tmp_path / "x", FileHashes(2, "ab" * 32, (0, 1, 2), (1, 2)), "mend it")


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    "pattern",
    [RECORD.format(3), "manifests/0000.json", "plan.json", "plan/slices-*", "shards/train/*/*/*"],
)
def test_anything_else_in_the_place_of_a_file_is_one_problem(
    copy: Path, pattern: str, make: Callable[[Path], None]
) -> None:
    path = sorted(copy.glob(pattern))[0]
    aside = path.rename(copy.parent / "aside")
    make(path)
    try:
        found = verify_dataset(VerifyRequest(copy), lambda size: None)
        check_bounded(copy, path)
    finally:
        path.rmdir() if path.is_dir() else path.unlink()
        aside.rename(path)
    named = [one for one in found.problems if one.startswith(f"{path}: ")]
    assert len(named) == 1, found.problems
