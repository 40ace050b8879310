"""Damaged input of any kind is read or counted, and leaves what precedes the damage alone."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.readers.parquet_footer import PARQUET_MAGIC
from pipeline.readers.reads import REASONS, BadInput, Document, Read, Tally
from pipeline.readers.table_input import ARROW_MAGIC
from schemas.build_config import BuildConfig
from tests.accounting import check_account, check_rows, is_between, table_parts
from tests.text_inputs import FORMATS, read

MUTANTS = 5000 if os.environ.get("BLANKSTREAM_FULL") else 100
ROWS = [
    {"id": f"d{number}", "text": f"Grüße, number {number}: " + "some words of it. " * (number % 7)}
    for number in range(30)
]
RESTARTING = ("x.jsonl", "x.json", "line.txt", "utf16.jsonl", "utf16.txt", "x.tar")
"""Readers of plain bytes: whatever ends before the first change must come out as before."""

TABLES = ("x.parquet", "x.arrow", "stream.arrow")
PART_ROWS = 8
"""Rows of a row group or record batch, but for the last one."""


def mutated(content: bytes, random: np.random.Generator) -> tuple[bytes, int]:
    """A damaged copy, and the place of its first change."""
    place, other = sorted(random.integers(0, len(content), 2).tolist())
    length = int(random.integers(1, 40))
    piece = random.integers(0, 256, length, np.uint8).tobytes()
    kind = random.integers(0, 8)
    if kind == 0:  # flip one bit
        flipped = content[place] ^ (1 << random.integers(0, 8))
        return content[:place] + bytes([flipped]) + content[place + 1 :], place
    if kind == 1:  # other bytes
        return content[:place] + piece + content[place + length :], place
    if kind == 2:  # truncation
        return content[:place], place
    if kind == 3:  # insertion
        return content[:place] + piece + content[place:], place
    if kind == 4:  # duplication
        return content[:other] + content[place:], other
    if kind == 5:  # deletion
        return content[:place] + content[other:], place
    if kind == 6:  # splicing: the end goes to the front of the middle
        return content[:place] + content[other:] + content[place:other], place
    return content[:place] + b"\xff" * length + content[place + length :], place


def check_order(found: list[Read]) -> None:
    places = [(one.start, one.stop) for one in found]
    assert all(start <= stop for start, stop in places)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places)), places


@pytest.mark.fault
@pytest.mark.parametrize("name", FORMATS)
def test_every_mutant_is_read_or_counted(tmp_path: Path, name: str) -> None:
    write, keys = FORMATS[name]
    config, random = BuildConfig(**keys), np.random.default_rng(len(name))
    content = write(ROWS)
    whole = read(tmp_path / name, content, config)
    assert all(isinstance(one, Document) for one in whole)
    for _ in range(MUTANTS):
        mutant, place = mutated(content, random)
        tally = Tally()
        found = read(tmp_path / name, mutant, config, tally)
        assert all(isinstance(one, Document) or one.reason in REASONS for one in found)
        check_order(found)
        if name in RESTARTING:
            before = [one for one in whole if one.stop < place - 4]
            assert found[: len(before)] == before
        if name in TABLES:
            check_table(Damage(content, mutant, place), whole, found)
        else:
            check_account(name, mutant, config.encoding, found, tally)


@dataclass(frozen=True)
class Damage:
    """`mutant` differs from `content` from `place` on."""

    content: bytes
    mutant: bytes
    place: int


def check_table(damage: Damage, whole: Sequence[Read], found: Sequence[Read]) -> None:
    """`check_rows` with what can be known of a damaged table."""
    parts = table_parts(damage.content)
    is_intact = is_between(damage.content, damage.mutant, parts)
    num_sound = PART_ROWS * sum(stop <= damage.place for _, stop in parts)
    is_read_from_its_end = damage.content.startswith((PARQUET_MAGIC, ARROW_MAGIC))
    if is_read_from_its_end and not is_intact:
        num_sound = 0
    check_rows(len(ROWS) if is_intact else None, whole[:num_sound], found)


@pytest.mark.parametrize("name", FORMATS)
def test_a_document_that_vanishes_is_missed(tmp_path: Path, name: str) -> None:
    write, keys = FORMATS[name]
    config, content, tally = BuildConfig(**keys), write(ROWS), Tally()
    whole = read(tmp_path / name, content, config, tally)
    for lost in {0, len(whole) // 2, len(whole) - 1}:
        found = [*whole[:lost], *whole[lost + 1 :]]
        if name in TABLES:
            with pytest.raises(AssertionError):
                check_table(Damage(content, content, len(content)), whole, found)
        else:
            with pytest.raises(AssertionError):
                check_account(name, content, config.encoding, found, tally)


@pytest.mark.fault
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "gb18030", "shift_jis", "auto"])
def test_any_bytes_in_any_encoding_are_read_or_counted(tmp_path: Path, encoding: str) -> None:
    random = np.random.default_rng(len(encoding))
    config = BuildConfig(encoding=encoding, text_unit="line")
    for _ in range(MUTANTS):
        content = random.integers(0, 256, int(random.integers(1, 200)), np.uint8).tobytes()
        for name in ("x.txt", "x.jsonl", "x.json"):
            tally = Tally()
            found = read(tmp_path / name, content, config, tally)
            check_order(found)
            assert all(isinstance(one, Document) or one.reason in REASONS for one in found)
            check_account(name, content, encoding, found, tally)


CUT_SHORT = ("x.jsonl.gz", "x.jsonl.zst", "x.jsonl.bz2", "x.txt.xz", "stream.arrow", "x.tar.gz")


@pytest.mark.fault
@pytest.mark.parametrize("name", CUT_SHORT)
def test_what_precedes_a_cut_is_read_and_the_rest_is_one_case(tmp_path: Path, name: str) -> None:
    write, keys = FORMATS[name]
    config, random = BuildConfig(**keys), np.random.default_rng(len(name))
    content = write(ROWS)
    whole = read(tmp_path / name, content, config)
    most = 0
    for _ in range(MUTANTS // 5):
        cut = int(random.integers(16, len(content) - 8))
        *found, bad = read(tmp_path / name, content[:cut], config)
        assert found == whole[: len(found)]
        assert isinstance(bad, BadInput)
        assert bad.reason.startswith("damaged_") or len(found) == len(whole)
        most = max(most, len(found))
    assert most > len(ROWS) // 2 or name.endswith((".bz2", ".zst"))


@pytest.mark.fault
def test_most_damage_costs_little(tmp_path: Path) -> None:
    """A flipped bit of a JSONL costs at most the lines that it touches."""
    write, _ = FORMATS["x.jsonl"]
    content, random = write(ROWS), np.random.default_rng(7)
    for _ in range(MUTANTS):
        place = int(random.integers(0, len(content)))
        flipped = bytes([content[place] ^ (1 << random.integers(0, 8))])
        found = read(tmp_path / "x.jsonl", content[:place] + flipped + content[place + 1 :])
        assert sum(isinstance(one, Document) for one in found) >= len(ROWS) - 2
        assert sum(isinstance(one, BadInput) for one in found) <= 2
