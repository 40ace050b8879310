"""No fault of the matrix is silent, kills a process, or is not in docs/faults.md."""

import itertools
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline.dataset import parse_dataset
from pipeline.shard_formats.verified_file import VerifiedFile
from pipeline.shard_reading.shard_places import LocalPlace
from pipeline.stores.local import LocalStore
from schemas.errors import CorruptDataError, DatasetError
from schemas.names import MANIFEST_NAME
from schemas.samples import SHARD_FORMATS
from tests import fault_matrix
from tests.fault_matrix import Result, markdown, run_cells, run_matrix
from tests.fault_matrix_cells import (
    BEFORE,
    COPY,
    FOUND,
    LOCAL,
    READ,
    RESTART,
    ROWS,
    SHARD_ROWS,
    SOURCE,
    UNREAD,
    Cell,
    World,
    all_cells,
)
from tests.fault_matrix_faults import DELETED, FAULTS, FIRST, MANIFEST, REPLACED, SHARD
from tests.fault_matrix_runs import ERROR, HEALED, OUTCOMES, UNAFFECTED, outcome_of

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return run_matrix(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("worlds") / "world")


def outcomes(results: list[Result], *wanted: str) -> set[str]:
    """What came of the cells that have all these words."""
    return {one.outcome for one in results if set(wanted) <= set(vars(one.cell).values())}


def test_no_fault_is_silent_and_none_kills_a_process(results: list[Result]) -> None:
    assert [one for one in results if one.outcome not in OUTCOMES] == []
    assert all(bool(one.message) == (one.outcome == ERROR) for one in results)
    assert Counter(one.outcome for one in results).keys() == set(OUTCOMES)


def test_the_page_holds_the_tables_as_they_come_out(results: list[Result]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert markdown(results) in page, "run `python -m tests.fault_matrix` for the tables"


def test_every_fault_of_a_local_shard_is_an_error_until_it_is_decoded(
    results: list[Result],
) -> None:
    for moment in (BEFORE, UNREAD, RESTART):
        assert outcomes(results, LOCAL, SHARD, moment) == {ERROR}
    assert outcomes(results, LOCAL, SHARD, READ, "arrow") == {ERROR}
    assert outcomes(results, LOCAL, SHARD, READ, "tar") == {UNAFFECTED}


def test_no_fault_of_a_copy_is_an_error(results: list[Result]) -> None:
    assert ERROR not in outcomes(results, COPY)


def test_a_copy_that_another_process_has_set_aside_is_fetched_again_or_not_needed(
    results: list[Result],
) -> None:
    found = [one for one in results if one.cell.moment == FOUND]
    assert {one.cell.place for one in found} == {COPY}
    for fault in set(FAULTS[SHARD]) - {DELETED, REPLACED}:
        assert outcomes(results, FOUND, SHARD, "arrow", fault) == {HEALED}
        assert outcomes(results, FOUND, SHARD, "tar", fault) <= {UNAFFECTED}


def test_a_fault_of_the_source_reaches_only_those_who_have_no_copy(results: list[Result]) -> None:
    assert outcomes(results, SOURCE, BEFORE) == {ERROR}
    for target in set(FAULTS) - {MANIFEST}:
        assert outcomes(results, SOURCE, target, RESTART) == {UNAFFECTED}


def test_all_regions_of_all_formats_are_struck_and_each_in_every_bit_position(
    world: World,
) -> None:
    cells = all_cells(world, 12)
    for shard_format in SHARD_FORMATS:
        struck = {one.position for one in cells if one.shard_format == shard_format}
        assert {position % 8 for position in struck} == set(range(8))
    shards = {(one.shard_format, one.fault) for one in cells if one.target == SHARD}
    no_header = {("tar", FAULTS[SHARD][0])}
    assert shards == set(itertools.product(SHARD_FORMATS, FAULTS[SHARD])) - no_header
    assert len(set(cells)) == len(cells)


def test_a_reader_that_does_not_verify_would_be_seen(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VerifiedFile, "_verify", lambda *_: None)
    shard = (world.dataset("arrow") / world.name("arrow", SHARD)).read_bytes()
    cell = Cell(LOCAL, BEFORE, "arrow", SHARD, FIRST, shard.index(ROWS[SHARD_ROWS].tobytes()))
    assert outcome_of(world, cell, tmp_path) == ("wrong rows", "")


def test_an_error_that_says_too_little_would_be_seen(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VerifiedFile, "corrupt", lambda *_: CorruptDataError("oh"))
    outcome, _ = outcome_of(world, Cell(LOCAL, READ, "arrow", SHARD, DELETED), tmp_path)
    assert outcome == "an error that does not say the command that mends: oh"


DYING = """
import json, os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
world, _, base = sys.argv[1:]
open(base + "/left", "w").close()
with open(os.path.dirname(world) + "/bases", "a") as bases:
    print(base, file=bases)
numbers = json.loads(input())
print('["healed", ""]', flush=True)
if len(numbers) > 1:
    os.kill(os.getpid(), signal.SIGBUS)
"""
"""A child that runs one cell of what it is given, and dies of a bus error in the next."""


def test_a_process_that_dies_would_be_seen_and_the_other_cells_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_matrix, "CHILD", [sys.executable, "-c", DYING])
    found = run_cells(tmp_path, 1, [7, 2, 5, 1, 3])
    died = (f"process ended with {-signal.SIGBUS.value}", "")
    assert found == {7: ("healed", ""), 2: died, 5: ("healed", ""), 1: died, 3: ("healed", "")}
    bases = [Path(line) for line in (tmp_path / "bases").read_text().splitlines()]
    assert len(bases) == 3
    assert not any(base.exists() for base in bases)


@pytest.mark.parametrize("shard_format", SHARD_FORMATS)
def test_every_bit_of_a_manifest_is_under_its_seal(world: World, shard_format: str) -> None:
    folder = world.dataset(shard_format)
    content = (folder / MANIFEST_NAME).read_bytes()
    step = 1 if os.environ.get("BLANKSTREAM_FULL") else 11
    for bit in range(0, 8 * len(content), step):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DatasetError, match=r"manifest\.json: damaged, or not written by"):
            parse_dataset(LocalStore(folder), LocalPlace(folder), bytes(damaged))
