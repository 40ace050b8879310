"""One cell of the fault matrix, run: what a reader gives and says before, during and after a fault.

Stands between the scenes and `fault_matrix.py`. Every row that is handed out is held against the
truth.
"""

from pathlib import Path

from pipeline.shard_reading.reader import RowReader
from schemas.errors import BlankstreamError
from schemas.names import MANIFEST_NAME
from tests.fault_matrix_cells import (
    BEFORE,
    FOUND,
    PARTLY,
    PARTNER,
    RESTART,
    SHARD_ROWS,
    SOURCE,
    UNREAD,
    VICTIM,
    Cell,
    World,
)
from tests.fault_matrix_faults import SHARD, SWAPPED, missing_in
from tests.fault_matrix_scenes import ALL, Scene, UnforeseenError, read

ERROR, HEALED, UNAFFECTED = "error", "healed", "unaffected"
OUTCOMES = (ERROR, HEALED, UNAFFECTED)
"""What may come of a fault; anything else is a failure, in words."""


def outcome_of(world: World, cell: Cell, folder: Path) -> tuple[str, str]:
    """What comes of a cell, run in an empty folder, with the message of the error."""
    scene = Scene(world, cell, folder)
    reader = None if cell.moment == BEFORE else _begun(scene)
    scene.strike()
    if cell.moment == FOUND:
        scene.be_found()
    try:
        if cell.moment == RESTART and reader is not None:
            _message(scene, reader)
            reader.close()
            reader = None
        message = _message(scene, reader)
        outcome = ERROR if message else HEALED if scene.is_healed() else UNAFFECTED
        if message:
            scene.mend()
            read(reader or scene.open(), ALL)
    except UnforeseenError as error:
        return str(error), ""
    except Exception as error:
        return f"{type(error).__name__}: {error}", ""
    return outcome, message


def _begun(scene: Scene) -> RowReader:
    """A reader that has read as much as the moment of the fault says."""
    reader, moment = scene.open(), scene.cell.moment
    if moment == UNREAD:
        read(reader, ALL[: SHARD_ROWS if scene.cell.target == SHARD else 0])
    else:
        read(reader, ALL[::SHARD_ROWS] if moment == PARTLY else ALL)
    return reader


def _message(scene: Scene, reader: RowReader | None) -> str:
    """The message that a run ends with, twice; empty where all its rows are right, twice."""
    messages = []
    for _ in range(2):
        try:
            read(scene.open() if reader is None else reader, ALL)
        except BlankstreamError as error:
            messages.append(_checked(scene, str(error)))
    if len(messages) == 1:
        raise UnforeseenError(f"once only: {messages[0]}")
    if messages and reader is not None and scene.cell.target == SHARD:
        _read_others(scene, reader)
    return messages[0] if messages else ""


def _checked(scene: Scene, message: str) -> str:
    cell = scene.cell
    missing = missing_in(message, cell.target, cell.fault, Path(scene.name).name, cell.position)
    is_fetched = cell.place == SOURCE and scene.name != MANIFEST_NAME
    if is_fetched and "(in each of 4 downloads)" not in message:
        missing = "how often it was fetched"
    if missing:
        raise UnforeseenError(f"an error that does not say {missing}: {message}")
    return message


def _read_others(scene: Scene, reader: RowReader) -> None:
    """Rows of shards that are not struck are there, whatever befell the others."""
    struck = {VICTIM, PARTNER} if scene.cell.fault == SWAPPED else {VICTIM}
    read(reader, ALL[[number // SHARD_ROWS not in struck for number in ALL.tolist()]])
