"""Memory for one batch of a stream: told before anything is read, or where it could not be had.

Stands between `RowStream` and its batches, which are made whole. The memory for decoded rows, from
which they are copied, is another one (`decoded_memory.py`).
"""

from pipeline.machine_memory import available_memory
from schemas.errors import UserError

_INDEX_BYTES = 64
"""Of a row of a batch that is made, beside the row: index, data set, row number, address, and what
leads from one to the other."""


def check_batch_memory(batch_rows: int, share_rows: int, row_bytes: int, num_batches: int) -> None:
    """Raise `UserError` with all numbers where `num_batches` at a time, of each one rank's
    `share_rows` rows, need more memory than this machine, or the container around this process, has
    left."""
    left, needed = available_memory(), num_batches * share_rows * (row_bytes + _INDEX_BYTES)
    if left is not None and needed > left:
        at_once = f", in {num_batches} batches at a time," if num_batches > 1 else ""
        rows = f"{share_rows} rows of a batch that are read here{at_once}"
        raise _too_large(batch_rows, rows, needed, f"and {left} are left")


def no_memory_for(batch_rows: int, share_rows: int, row_bytes: int) -> UserError:
    """What to raise where the system gave no memory for the rows of a batch."""
    rows = f"{share_rows} rows of a batch that are read here"
    needed = share_rows * (row_bytes + _INDEX_BYTES)
    return _too_large(batch_rows, rows, needed, "which the system does not give")


def _too_large(batch_rows: int, rows: str, needed: int, why: str) -> UserError:
    return UserError(
        f"batch_rows={batch_rows}: the {rows} need {needed} bytes of memory, {why}; give a smaller "
        "batch_rows (`train.batch_rows`)"
    )
