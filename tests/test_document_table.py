"""The documents of an item: streamed to disk in order, read back verified."""

from pathlib import Path

import pytest

from pipeline.document_table import DocumentEntry, DocumentWriter, read_documents_table
from pipeline.readers.reads import Document


def entry(number: int, text: str = "x", prompt: str = "") -> DocumentEntry:
    document = Document(f"id-{number}", text, "a.jsonl", number, number + 1, prompt, "en")
    return DocumentEntry.of(document, "train")


@pytest.mark.parametrize("count", [0, 1, 65_536, 65_537])
def test_entries_come_back_in_order(tmp_path: Path, count: int) -> None:
    with DocumentWriter(tmp_path / "d.arrow") as writer:
        for number in range(count):
            writer.add(entry(number))
        hashes = writer.finish()
    table = read_documents_table(tmp_path / "d.arrow", hashes)
    assert table.column("start").to_pylist() == list(range(count))
    assert table.num_rows == count
    if count:
        assert table.slice(count - 1, 1).to_pylist()[0]["id"] == f"id-{count - 1}"


def test_nothing_appears_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), DocumentWriter(tmp_path / "d.arrow") as writer:
        writer.add(entry(1 // (writer.count * 0)))
    assert list(tmp_path.iterdir()) == []


def test_identical_texts_have_the_same_hash_and_a_prompt_is_part_of_it() -> None:
    assert entry(1).xxh3 == entry(2).xxh3
    assert entry(1).xxh3 != entry(1, "y").xxh3
    assert entry(1, "b", "a").xxh3 != entry(1, "ab").xxh3
