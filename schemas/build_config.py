"""The build section: everything that decides how documents become rows.

`build_recipe` in `pipeline/planning.py` takes from here what decides bytes; `passes` and
`item_bytes` decide which work items there are.
"""

import re
from dataclasses import dataclass, field

from schemas.errors import ConfigError
from schemas.fields import bounded, choice
from schemas.objectives import MASK_TOKENS
from schemas.samples import SHARD_FORMATS, RowFormat

RECORD_BATCH_BYTES, MAX_CHOSEN_BATCH_ROWS = 1 << 20, 4096
"""What a record batch takes at most where `build.record_batch_rows` is 0, unless it is one row: a
reader hashes a whole one for the first row of it."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """How one objective draws its spans; `kind` is a key of `pipeline.objectives.OBJECTIVES`.

    `share` is the objective's part of the samples or tokens (`build.mix_by`), relative to the sum
    over all objectives. The other keys are read by the kinds that need them (docs/objectives.md).
    """

    kind: str
    share: float = bounded(1.0, 0.0)
    mask: str = choice("mask", *MASK_TOKENS)
    mask_ratio: float = bounded(0.15, 0.0, 0.5)
    span_lengths: str = choice("poisson", "poisson", "geometric")
    mean_span_tokens: float = bounded(3.0, 0.1, 100.0)
    max_span_tokens: int = bounded(39, 1, 1000)
    min_span_ratio: float = bounded(0.5, 0.0, 1.0)
    single_span_ratio: float = bounded(0.0, 0.0, 1.0)
    noise_ratio: float = bounded(0.0, 0.0, 1.0)
    random_positions: bool = False
    replace_ratio: float = bounded(1.0, 0.0, 1.0)
    random_ratio: float = bounded(0.0, 0.0, 1.0)
    samples_per_window: int = bounded(1, 1, 64)


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """An existing tokenizer (`path`), or how to train SentencePiece on the training documents.

    `path` is a SentencePiece model, a `tokenizer.json`, a WordPiece `vocab.txt`, or a folder with
    one of them or with `vocab.json` and `merges.txt`. `layout` names GLM's special-token ids over
    it (`LAYOUTS` in `pipeline/vocabularies/layouts.py`); empty takes the one that fits. `sentinels`
    is the number of sentinel pairs behind the vocabulary. `lower_case` is for WordPiece alone.
    """

    path: str = ""
    layout: str = ""
    sentinels: int = bounded(0, 0, 10_000)
    lower_case: bool = True
    vocab_size: int = bounded(32000, 300, 500_000)
    sample_characters: int = bounded(20_000_000, 1000)


def _default_objectives() -> dict[str, ObjectiveConfig]:
    return {"blank": ObjectiveConfig(kind="blank")}


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """Documents -> rows. Sizes are in tokens, rows, samples or bytes as the names say.

    `record_batch_rows` is 0 for as many as `batch_rows` chooses.
    """

    seed: int = bounded(1, 0, 2**63 - 1)
    passes: int = bounded(1, 1, 9999)
    window_tokens: int = bounded(512, 8, 2**20)
    row_tokens: int = bounded(1024, 16, 2**20)
    max_samples: int = bounded(8, 1, 4096)
    add_cls: bool = True
    add_eos: bool = True
    shuffle_spans: bool = True
    block_positions: bool = True
    sentinels: bool = False
    short_window_ratio: float = bounded(0.0, 0.0, 1.0)
    mix_by: str = choice("samples", "samples", "tokens")
    heldout_ratio: float = bounded(0.01, 0.0, 0.9)
    max_bad_ratio: float = bounded(0.01, 0.0, 1.0)
    item_bytes: int = bounded(64 * 2**20, 1024)
    shard_rows: int = bounded(65536, 1)
    record_batch_rows: int = bounded(0, 0)
    shard_format: str = choice("arrow", *SHARD_FORMATS)
    splitter: str = "train"
    splitter_by: str = choice("script", "script", "field", "fixed")
    encoding: str = "utf-8"
    text_unit: str = choice("file", "file", "line", "paragraph")
    id_field: str = "id"
    text_field: str = "text"
    prompt_field: str = "prompt"
    completion_field: str = "completion"
    language_field: str = "language"
    duplicate_ids: str = choice("error", "error", "suffix")
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    objective: dict[str, ObjectiveConfig] = field(default_factory=_default_objectives)

    def check(self) -> None:
        """Relations between keys that no single bound expresses."""
        used = [name for name, objective in self.objective.items() if objective.share > 0]
        if not used:
            raise ConfigError("[build.objective]: no objective has a share above 0")
        odd = [name for name in self.objective if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
        if odd:
            raise ConfigError(
                f"[build.objective]: the name {odd[0]!r} must be lower-case letters, digits and _"
            )
        if len(self.objective) > 255:
            raise ConfigError("[build.objective]: at most 255 objectives fit a shard")
        if self.record_batch_rows and self.shard_rows % self.record_batch_rows:
            raise ConfigError(
                f"build.shard_rows={self.shard_rows} must be a multiple of "
                f"build.record_batch_rows={self.record_batch_rows}, so that batches are equal "
                "(0: chosen by their bytes)"
            )

    def batch_rows(self, row_format: RowFormat) -> int:
        """Rows of every record batch of a shard but the last: `record_batch_rows`, or where that is
        0 the largest power of two that `RECORD_BATCH_BYTES`, `MAX_CHOSEN_BATCH_ROWS` and
        `shard_rows` allow, and at least 1."""
        if self.record_batch_rows:
            return self.record_batch_rows
        fitting = RECORD_BATCH_BYTES // row_format.row_bytes
        most = max(1, min(fitting, MAX_CHOSEN_BATCH_ROWS, self.shard_rows))
        return 1 << most.bit_length() - 1
