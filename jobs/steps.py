"""What a life of a work item asks for, and what it is told: the words between two modules.

`isolation.py` asks, `drive.py` has it carried out and answers.
"""

from dataclasses import dataclass

from schemas.record import Exclusion, ItemResult

KILLED_WORKER, RAISED_ERROR = "killed_worker", "raised_error"


@dataclass(frozen=True)
class Build:
    """Build the item without the documents `excluded`."""

    excluded: tuple[Exclusion, ...]


@dataclass(frozen=True)
class Count:
    """Count the documents of the item, the excluded ones too."""


@dataclass(frozen=True)
class Probe:
    """Build documents [first, stop) into nowhere."""

    excluded: tuple[Exclusion, ...]
    first: int
    stop: int


@dataclass(frozen=True)
class Locate:
    """Say which document number `number` is."""

    number: int


Step = Build | Count | Probe | Locate


@dataclass(frozen=True)
class Failure:
    """Why a step failed: `reason` is `killed_worker` or `raised_error`.

    `detail` is for the record and the same on every executor; `text` is for people.
    """

    reason: str
    detail: str
    text: str
    error: BaseException | None = None


Answer = ItemResult | Exclusion | int | Failure | None
"""Of a `Build`, a `Locate`, a `Count`, of whatever failed, and of a `Probe`."""
