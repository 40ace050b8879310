"""A file of a data set that this user may not read is named, and neither called damaged nor made
anew."""

import errno
import os
from pathlib import Path

import pytest

from jobs.care.inspection import VerifyRequest
from jobs.care.repair import RepairRequest, repair_dataset
from jobs.care.verify import verify_dataset
from pipeline.stream import RowStream
from schemas.errors import UnreadableError
from tests.corpus import file_hashes, the_file
from tests.resealed import TRAIN_SHARD


@pytest.fixture
def shard(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the data set, and forbidden: root may read everything, so the system's answer is ours."""
    forbidden, opened = the_file(built, TRAIN_SHARD.format(0)), os.open

    def refuse(path: object, *arguments: object, **named: object) -> int:
        if str(path) == str(forbidden):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    return forbidden


def test_a_stream_names_the_file(built: Path, shard: Path) -> None:
    message = rf"^{shard}: cannot be opened .* is no damage"
    with RowStream(built, epochs=1) as stream, pytest.raises(UnreadableError, match=message):
        list(stream)


def test_verify_and_repair_leave_it_alone(built: Path, shard: Path, corpus: Path) -> None:
    before = file_hashes(built)
    with pytest.raises(UnreadableError, match=rf"^{shard}: cannot be opened .* ask its owner"):
        verify_dataset(VerifyRequest(built), lambda size: None)
    with pytest.raises(UnreadableError, match=rf"^{shard}: cannot be opened .* ask its owner"):
        repair_dataset(RepairRequest(built, (corpus,), workers=1), lambda size: None)
    assert file_hashes(built) == before
