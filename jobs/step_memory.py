"""What a step needs too much memory for, as one message.

Stands around the step of `train.py`. Whether a model and its micro-batch fit is known only once
they were tried.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from schemas.errors import UserError
from schemas.train_config import TrainConfig

_NO_MEMORY = "DefaultCPUAllocator"
"""In the message of the error that torch raises on a CPU; on a GPU it has a type of its own."""


@contextmanager
def told_memory(config: TrainConfig) -> Iterator[None]:
    """Raise `UserError` with the sizes of `config` where the step inside gets no memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_memory and _NO_MEMORY not in str(error):
            raise
        rows = config.micro_batch_rows or config.batch_rows
        raise UserError(
            f"train.batch_rows={config.batch_rows}, train.micro_batch_rows="
            f"{config.micro_batch_rows}: there is no memory for a step with {rows} rows at a time "
            f"({str(error).strip().splitlines()[0] if str(error) else 'out of memory'}); give a "
            "smaller train.micro_batch_rows, or a smaller train.batch_rows or model"
        ) from error
