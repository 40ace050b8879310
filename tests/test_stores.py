"""Both kinds of store keep the same laws: on a disk, on S3, and on what fsspec has in memory."""

import itertools
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stores.choice import local_folder, open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.objects import ObjectStore
from pipeline.stores.store import Store
from schemas.errors import DatasetError
from tests.at_once import all_at_once
from tests.object_server import ObjectServer, object_server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
NAMES = ["manifest.json", "plan/a.json", "shards/train/0/a.arrow", "shards/train/0/b.arrow"]
BAD_NAMES = ["", "/a", "a/", "a//b", "./a", "..", "a/../b", "a\\b", "a\0b"]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/bucket")
        yield running


@pytest.fixture(params=["disk", "s3", "memory"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str | Path:
    """Where a data set can be that has no file yet."""
    if kind == "s3":
        request.getfixturevalue("server")
    name = uuid.uuid4().hex
    return {"disk": tmp_path / "a" / "b", "s3": f"s3://bucket/{name}"}.get(kind, f"memory://{name}")


@pytest.fixture
def store(place: str | Path) -> Store:
    return open_store(place)


def content_of(store: Store) -> dict[str, bytes]:
    return {name: store.read(name) for name, _ in store.every_file()}


def test_a_file_has_the_content_that_was_last_written(store: Store) -> None:
    for name in NAMES:
        for content in (b"old and longer", b"new", b"", name.encode()):
            store.replace(name, content)
            assert (store.read(name), store.size(name)) == (content, len(content))
            assert b"".join(store.pieces(name)) == content
    assert dict(store.every_file()) == {name: len(name) for name in NAMES}
    assert list(store.files("shards/train/0")) == NAMES[2:]
    assert store.files("") == {"manifest.json": 13}
    assert store.files("shards") == store.files("shards/train/0/a.arrow") == {}
    store.remove(NAMES[2])
    assert sorted(content_of(store)) == [*NAMES[:2], NAMES[3]]


def test_what_is_missing_is_said_to_be_missing(store: Store) -> None:
    assert (store.size("a/b"), store.files("a"), list(store.every_file())) == (None, {}, [])
    store.replace("a/b/c", b"x")
    for name in ("a/x", "a/b", "x/y"):
        assert store.size(name) is None
        with pytest.raises(FileNotFoundError):
            store.local(name).__enter__()
        with pytest.raises(FileNotFoundError):
            next(store.pieces(name))
    for name in ("a/x", "x/y"):
        store.remove(name)
        with pytest.raises(FileNotFoundError):
            store.read(name)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        local_folder(store, "x").__enter__()


def test_of_many_creators_one_is_told_that_it_was(store: Store) -> None:
    contents = [b"%d" % number for number in range(20)]
    told = all_at_once([lambda c=c: (store.create("a/b", c), c) for c in contents])  # type: ignore[misc]
    created = [content for was_first, content in told if was_first]  # type: ignore[attr-defined]
    assert len(told) == 20
    assert created == [store.read("a/b")]
    assert store.create("a/b", b"other") is store.create("a/b", created[0]) is False
    assert content_of(store) == {"a/b": created[0]}
    same = all_at_once([lambda: store.create("same", b"same")] * 20)
    assert sorted(map(bool, same)) == [False] * 19 + [True]


def test_a_reader_sees_one_content_or_the_other(store: Store) -> None:
    contents = {b"a" * 70_000, b"b" * 50_000, b"c" * 90_000}
    store.replace("x", b"a" * 70_000)
    stop = threading.Event()

    def write() -> None:
        for content in itertools.cycle(contents):
            store.replace("x", content)
            if stop.wait(0.02):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert {store.read("x") for _ in range(15)} <= contents
    finally:
        stop.set()
        writer.join()


def test_a_draft_is_no_file_until_it_is_committed(store: Store) -> None:
    with store.draft("shards/0") as draft:
        assert draft.path.read_bytes() == b""
        draft.path.write_bytes(b"x" * 100_000)
        assert store.files("shards/0") == {}
        draft.commit("shards/0/first")
        assert store.read("shards/0/first") == b"x" * 100_000
    with store.draft("shards/0") as draft:
        draft.path.write_bytes(b"y")
    assert not draft.path.exists()
    with store.draft("") as draft:
        draft.path.write_bytes(b"z")
        draft.commit("top")
    with store.draft("shards/0") as draft:
        draft.path.write_bytes(b"shorter")
        draft.commit("shards/0/first")
    assert content_of(store) == {"shards/0/first": b"shorter", "top": b"z"}


def test_a_file_can_be_had_on_a_disk_while_the_context_lasts(store: Store) -> None:
    content = os.urandom(300_000)
    store.replace("shards/a.arrow", content)
    store.replace("tokenizer/model", b"m")
    store.replace("tokenizer/tokenizer.json", b"{}")
    store.replace("tokenizer/deeper/x", b"x")
    with store.local("shards/a.arrow") as path, local_folder(store, "tokenizer") as folder:
        assert (path.name, path.read_bytes()) == ("a.arrow", content)
        assert (folder / "model").read_bytes() == b"m"
        assert (folder / "tokenizer.json").read_bytes() == b"{}"
    assert path.exists() == folder.exists() == isinstance(store, LocalStore)
    assert len(content_of(store)) == 4


def test_names_that_could_lead_out_of_the_data_set_are_refused(store: Store) -> None:
    def commit(name: str) -> None:
        with store.draft("a") as draft:
            draft.commit(name)

    actions: list[Callable[[str], object]] = [
        *(store.read, store.size, store.remove, commit),
        lambda name: next(store.pieces(name)),
        lambda name: store.replace(name, b""),
        lambda name: store.create(name, b""),
        lambda name: store.local(name).__enter__(),
        lambda name: store.files(name or "/"),
        lambda name: store.draft(name or "/").__enter__(),
    ]
    for name in BAD_NAMES:
        for action in actions:
            with pytest.raises(DatasetError, match="must not lead out of the data set"):
                action(name)
    assert list(store.every_file()) == []


def test_what_another_writer_wrote_is_seen_at_once(
    store: Store, place: str | Path, kind: str, request: pytest.FixtureRequest
) -> None:
    store.replace("a/own", b"1")
    for number in range(3):
        assert len(store.files("a")) == len(list(store.every_file())) == number + 1
        name = f"a/{number}"
        if kind == "s3":
            server: ObjectServer = request.getfixturevalue("server")
            server.put(str(place).removeprefix("s3:/") + f"/{name}", b"by http")
        elif kind == "memory":
            fsspec.filesystem("memory").pipe(f"{place}/{name}", b"by http")
        else:
            Path(place, name).write_bytes(b"by http")
        assert store.files("a")[name] == store.size(name) == 7
        assert store.read(name) == b"by http"


def test_a_copy_opened_elsewhere_sees_the_same_files(store: Store, place: str | Path) -> None:
    store.replace("a/x", b"1")
    other = open_store(place)
    assert content_of(other) == {"a/x": b"1"}
    other.remove("a/x")
    assert (store.size("a/x"), store.files("a")) == (None, {})
    assert str(place) == store.place == store.where("a").removesuffix("/a")


operations = st.lists(
    st.tuples(
        st.sampled_from(["replace", "create", "draft", "remove"]),
        st.sampled_from(NAMES),
        st.binary(max_size=9),
    ),
    max_size=12,
)


@given(operations)
def test_any_history_leaves_what_it_leaves_in_a_dictionary(
    history: list[tuple[str, str, bytes]],
) -> None:
    store, expected = ObjectStore(f"memory://{uuid.uuid4().hex}"), dict[str, bytes]()
    for action, name, content in history:
        if action == "replace":
            store.replace(name, content)
        elif action == "draft":
            with store.draft(name.rpartition("/")[0]) as draft:
                draft.path.write_bytes(content)
                draft.commit(name)
        elif action == "create":
            assert store.create(name, content) == (name not in expected)
            content = expected.get(name, content)
        if action == "remove":
            store.remove(name)
            expected.pop(name, None)
        else:
            expected[name] = content
    assert content_of(store) == expected
