"""The documents of an item: streamed to disk in order, read back verified."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.document_table import DocumentWriter, read_documents_table
from pipeline.readers.reads import Document
from pipeline.stores.local import LocalStore
from schemas.errors import CorruptDataError
from schemas.manifest import StoredFile
from schemas.plan import Slice, WorkItem

ITEM = WorkItem("ab" * 32, 0, 0, Slice(7, ()))


def document(number: int, text: str = "x", prompt: str = "") -> Document:
    return Document(f"id-{number}", text, "a.jsonl", number, number + 1, prompt, "en")


def written(folder: Path, documents: list[Document]) -> StoredFile:
    with ExitStack() as stack:
        writer = DocumentWriter(LocalStore(folder), ITEM, stack)
        for one in documents:
            writer.add(one, "train")
        assert writer.count == len(documents)
        assert writer.text_bytes == sum(len((d.prompt + d.text).encode()) for d in documents)
        return writer.finish()


def lines(folder: Path, documents: list[Document]) -> list[dict[str, Any]]:
    table = read_documents_table(LocalStore(folder), written(folder, documents))
    found: list[dict[str, Any]] = table.to_pylist()
    return found


@pytest.mark.parametrize("count", [0, 1, 65_536, 65_537])
def test_entries_come_back_in_order(tmp_path: Path, count: int) -> None:
    stored = written(tmp_path, [document(number) for number in range(count)])
    table = read_documents_table(LocalStore(tmp_path), stored)
    assert table.column("start").to_pylist() == list(range(count))
    if count:
        assert table.slice(count - 1, 1).to_pylist()[0]["id"] == f"id-{count - 1}"


def test_the_file_is_called_after_its_item_and_its_content(tmp_path: Path) -> None:
    stored = written(tmp_path, [document(1)])
    digits = stored.hashes.sha256[:16]
    assert stored.path == f"records/pass-0000/00000/00000007-{digits}.documents.arrow"
    assert written(tmp_path, [document(2)]).path != stored.path


def test_nothing_stays_when_the_block_fails(tmp_path: Path) -> None:
    stack = ExitStack()
    writer = DocumentWriter(LocalStore(tmp_path), ITEM, stack)
    writer.add(document(1), "train")
    stack.close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_identical_texts_have_the_same_hash_and_a_prompt_is_part_of_it(tmp_path: Path) -> None:
    texts = [("x", ""), ("x", ""), ("y", ""), ("b", "a"), ("ab", "")]
    documents = [document(number, *one) for number, one in enumerate(texts)]
    found = [line["text_xxh3"] for line in lines(tmp_path, documents)]
    assert found[0] == found[1]
    assert len(set(found)) == 4
    assert len({line["id_xxh3"] for line in lines(tmp_path, documents)}) == 5


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    stored = written(tmp_path, [document(1)])
    path = tmp_path / stored.path
    path.write_bytes(path.read_bytes().replace(b"id-1", b"id-2"))
    with pytest.raises(CorruptDataError, match=r"documents\.arrow: record batch 0 .* is damaged"):
        read_documents_table(LocalStore(tmp_path), stored)
    path.unlink()
    with pytest.raises(CorruptDataError, match=r"documents\.arrow: missing; .*repair"):
        read_documents_table(LocalStore(tmp_path), stored)
