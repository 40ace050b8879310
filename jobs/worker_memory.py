"""How much memory a worker of a build may need, by which workers are admitted."""

from pipeline.packing import OPEN_ROWS
from schemas.build_config import BuildConfig
from schemas.manifest import SPLITS
from schemas.plan import Plan
from schemas.samples import ORIGIN_COLUMNS, row_format_of

_BASE_MEMORY_BYTES = 450_000_000
"""A worker beside its rows: libraries, tokenizer, a batch of documents (docs/benchmarks.md)."""


def worker_memory_bytes(plan: Plan, config: BuildConfig) -> int:
    """What a worker needs at most: the rows it holds open in both splits, and everything else."""
    row_format = row_format_of(plan.recipe)
    origin_bytes = 4 * len(ORIGIN_COLUMNS) * row_format.max_samples
    rows = len(SPLITS) * (config.batch_rows(row_format) + OPEN_ROWS + 1)
    return _BASE_MEMORY_BYTES + 2 * rows * (row_format.row_bytes + origin_bytes)
