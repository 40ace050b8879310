"""The train section: optimizer, schedule, batch, checkpoints and records of one run."""

from dataclasses import dataclass

from schemas.errors import ConfigError
from schemas.fields import bounded, choice

MAX_SEED = 2**62 - 1
"""Largest seed of a stream, here and in a state."""

MAX_BATCH_ROWS = 2**24
"""Where each row of a batch is from takes about 64 bytes while the batch is made: 1 GiB for so
many, before one of the rows is copied."""

MAX_WINDOW_SHARDS = 1 << 14
"""As many as a group of the shard table's blocks has: larger windows would be no other order."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. A step is one optimizer update over `batch_rows` rows of all ranks together, in the
    order that `RowStream` describes; `window_shards` 0 leaves the window to it."""

    seed: int = bounded(1, 0, MAX_SEED)
    max_steps: int = bounded(1000, 1)
    batch_rows: int = bounded(64, 1, MAX_BATCH_ROWS)
    micro_batch_rows: int = bounded(0, 0, MAX_BATCH_ROWS)
    order: str = choice("auto", "auto", "global", "windowed")
    window_shards: int = bounded(0, 0, MAX_WINDOW_SHARDS)
    peak_lr: float = bounded(4e-4, 0.0, 10.0)
    final_lr_ratio: float = bounded(0.1, 0.0, 1.0)
    warmup_ratio: float = bounded(0.04, 0.0, 1.0)
    adam_beta1: float = bounded(0.9, 0.0, 1.0)
    adam_beta2: float = bounded(0.98, 0.0, 1.0)
    adam_epsilon: float = bounded(1e-6, 0.0, 1.0)
    weight_decay: float = bounded(0.1, 0.0, 10.0)
    max_grad_norm: float = bounded(1.0, 0.0)
    precision: str = choice("auto", "auto", "float32", "bfloat16")
    checkpoint_every_steps: int = bounded(1000, 1)
    keep_checkpoints: int = bounded(3, 1)
    record_losses: bool = False

    def check(self) -> None:
        """Micro-batches must divide the batch; a global order has no windows."""
        if self.micro_batch_rows and self.batch_rows % self.micro_batch_rows:
            raise ConfigError(
                f"train.batch_rows={self.batch_rows} must be a multiple of "
                f"train.micro_batch_rows={self.micro_batch_rows} (0: the whole batch at once)"
            )
        if self.order == "global" and self.window_shards:
            raise ConfigError(
                f"train.window_shards={self.window_shards} beside train.order=global, which has no "
                "windows; leave one of them out"
            )
