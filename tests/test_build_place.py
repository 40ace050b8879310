"""The place of a data set: what is refused before anything is read, and what is left untouched."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.build_place import check_place, is_dataset
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from schemas.errors import CorruptDataError, DatasetError
from schemas.names import MANIFEST_NAME, PLAN_NAME, SPLITTER_NAME
from schemas.sealed import seal
from tests.object_server import ObjectServer, object_server


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("/sets")
        yield running


@pytest.mark.parametrize("name", ["d", "a/b/d", "ünïcode", "plan"])
def test_a_place_that_is_free_is_taken_and_nothing_stays_of_the_check(
    tmp_path: Path, name: str
) -> None:
    check_place(LocalStore(tmp_path / name))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).mkdir(parents=True)
    check_place(LocalStore(tmp_path / name))
    assert list((tmp_path / name).iterdir()) == []


def test_a_data_set_that_was_begun_is_gone_on_with(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for name in (SPLITTER_NAME, "tokenizer/description.json", "plan/x.json", PLAN_NAME, "other"):
        store.replace(name, b"{}")
        check_place(store)


def test_other_files_are_no_place_but_empty_folders_are(tmp_path: Path) -> None:
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    check_place(LocalStore(tmp_path))
    (tmp_path / "empty" / "folder" / "thesis.doc").touch()
    with pytest.raises(DatasetError, match=r"holds no plan\.json but other files \(empty, \.\.\."):
        check_place(LocalStore(tmp_path))
    with pytest.raises(DatasetError, match=r"^/: holds no plan\.json but other files"):
        check_place(LocalStore(Path("/")), is_written=False)


@pytest.mark.parametrize("name", [PLAN_NAME, MANIFEST_NAME])
@pytest.mark.parametrize("inner", ["sub", "shards/train", "a/b/c"])
def test_a_folder_inside_a_data_set_is_refused(tmp_path: Path, name: str, inner: str) -> None:
    LocalStore(tmp_path / "d").replace(name, seal({}).encode())
    (tmp_path / "link").symlink_to(tmp_path / "d")
    for outer in ("d", "link", "d/../d"):
        with pytest.raises(DatasetError, match=rf"is inside the data set {tmp_path}/d; give"):
            check_place(LocalStore(tmp_path / outer / inner))
    assert [path.name for path in (tmp_path / "d").iterdir()] == [name]


def test_a_file_of_another_program_makes_no_data_set(tmp_path: Path) -> None:
    for text in (
        '{"schema_version": 3}',
        '{"dbt_schema_version": "digest"}',
        "[]",
        "{",
        "[" * 10**5,
    ):
        (tmp_path / MANIFEST_NAME).write_text(text)
        check_place(LocalStore(tmp_path / "sub"))
        assert not is_dataset(LocalStore(tmp_path))
    (tmp_path / MANIFEST_NAME).write_text(seal({}))
    assert is_dataset(LocalStore(tmp_path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
def test_a_url_inside_a_data_set_is_refused(server: ObjectServer) -> None:
    open_store("s3://sets/m").replace(MANIFEST_NAME, seal({}).encode())
    open_store("s3://sets/o").replace(MANIFEST_NAME, b"{}")
    for inner in ("sub", "a/b/"):
        with pytest.raises(DatasetError, match=r"is inside the data set s3://sets/m; give"):
            check_place(open_store(f"s3://sets/m/{inner}"))
    check_place(open_store("s3://sets/n"))
    check_place(open_store("s3://sets/o/sub"))
    check_place(open_store("s3://sets/m2/sub"))


def test_a_plan_missing_beside_a_manifest_is_damage_that_repair_mends(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.replace(MANIFEST_NAME, b"{}")
    told = r"plan\.json: missing beside manifest\.json; run `blankstream repair`"
    with pytest.raises(CorruptDataError, match=told):
        check_place(store)


def test_what_ends_with_the_process_is_no_place() -> None:
    with pytest.raises(DatasetError, match="memory://x/d: is in the memory of one process"):
        check_place(open_store("memory://x/d"))


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path / "bad") + b"\xffname"))
    with pytest.raises(DatasetError, match=r"bad\\udcffname': the name is not UTF-8") as caught:
        check_place(LocalStore(place))
    assert str(caught.value).isascii()


def test_a_link_to_nothing_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "file").touch()
    for name, message in (
        ("link", "link is a link to nothing; give another --output"),
        ("link/d", "link is a link to nothing"),
        ("file", "file: is a file; give a folder as --output"),
        ("file/d", "file is a file; give another --output"),
        ("n" * 300, "cannot be"),
    ):
        with pytest.raises(DatasetError, match=message):
            check_place(LocalStore(tmp_path / name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_file_system_that_takes_no_folder_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"^/proc/x/d: (cannot be made|no permission)"):
        check_place(LocalStore(Path("/proc/x/d")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_refused_only_where_it_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for name in ("", "d"):
            check_place(LocalStore(tmp_path / name), is_written=False)
            with pytest.raises(DatasetError, match="no permission to write in"):
                check_place(LocalStore(tmp_path / name))
    finally:
        tmp_path.chmod(0o700)
