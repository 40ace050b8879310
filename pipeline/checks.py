"""What must hold between keys of a build and its tokenizer, checked before anything is written.

Stands before planning: a build that starts does not find out later that a sample outgrows its row.
"""

from pipeline.mixing import INSTRUCTION, mixed_objectives
from pipeline.mixture import schedule
from pipeline.objectives import OBJECTIVES, max_sample_tokens, max_spans
from pipeline.packing import OPEN_ROWS
from pipeline.readers.encodings import check_encoding
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.errors import ConfigError
from schemas.objectives import SpecialTokens
from schemas.samples import RowFormat

MAX_ROW_MEMORY_BYTES = 1 << 30
"""Largest memory for the rows that a worker fills, for each split."""

MIN_WINDOW_TOKENS = 8
"""Shortest bound of a window, [CLS] and eos included."""


def check_config(config: BuildConfig) -> None:
    """Raise `ConfigError` for an unknown encoding or objective, shares that cannot be mixed, rows
    too short for their longest sample, and rows that no worker could hold."""
    check_encoding(config.encoding)
    _check_fields(config)
    for name, objective in config.objective.items():
        _check_objective(name, objective, config)
    mixed = mixed_objectives(config)
    if not mixed:
        raise ConfigError(
            "[build.objective]: no objective but instructions has a share above 0; text without a "
            "prompt needs one"
        )
    names = sorted(config.objective)
    schedule([config.objective[names[index]].share for index in mixed])
    instructions = [name for name in names if config.objective[name].kind == INSTRUCTION]
    if len(instructions) > 1:
        raise ConfigError(
            f"[build.objective]: {' and '.join(instructions)} are both of kind '{INSTRUCTION}'; "
            "keep one"
        )
    _check_memory(config)
    if config.mix_by == "samples" and len(mixed) > 1:
        _check_turns(config, [names[index] for index in mixed])


def _check_fields(config: BuildConfig) -> None:
    fields = {
        "text_field": config.text_field,
        "prompt_field": config.prompt_field,
        "completion_field": config.completion_field,
    }
    for name, value in fields.items():
        if not value:
            raise ConfigError(f"build.{name} is empty; name a field of the records")
    if len(set(fields.values())) < len(fields):
        raise ConfigError(
            f"build.text_field, prompt_field and completion_field are {', '.join(fields.values())}"
            "; they must differ"
        )
    if not config.splitter:
        raise ConfigError("build.splitter is empty; name a language or a path, or use train")


def _check_objective(name: str, objective: ObjectiveConfig, config: BuildConfig) -> None:
    if objective.kind not in OBJECTIVES:
        raise ConfigError(
            f"build.objective.{name}.kind is '{objective.kind}'; "
            f"choose from {', '.join(sorted(OBJECTIVES))}"
        )
    if objective.replace_ratio + objective.random_ratio > 1:
        raise ConfigError(
            f"build.objective.{name}: replace_ratio={objective.replace_ratio} and random_ratio="
            f"{objective.random_ratio} are more than 1 together"
        )
    if config.window_tokens // objective.samples_per_window < MIN_WINDOW_TOKENS:
        raise ConfigError(
            f"build.objective.{name}.samples_per_window={objective.samples_per_window} leaves "
            f"windows of less than {MIN_WINDOW_TOKENS} tokens; raise build.window_tokens"
        )
    longest = max_sample_tokens(config.window_tokens, objective)
    if longest > config.row_tokens:
        raise ConfigError(
            f"build.row_tokens={config.row_tokens} cannot hold the longest sample of objective "
            f"'{name}': {longest} tokens from windows of {config.window_tokens}; "
            f"set build.row_tokens={longest} or lower build.window_tokens"
        )


def _check_memory(config: BuildConfig) -> None:
    """A worker holds a record batch of rows and the open ones, at most 4 bytes a number."""
    row_format = RowFormat(config.row_tokens, config.max_samples, "uint32", ())
    row_bytes, rows = row_format.row_bytes, config.batch_rows(row_format) + OPEN_ROWS
    if rows * row_bytes > MAX_ROW_MEMORY_BYTES:
        fitting = MAX_ROW_MEMORY_BYTES // row_bytes - OPEN_ROWS
        remedy = f"set build.record_batch_rows={fitting}" if fitting > 0 else "lower row_tokens"
        raise ConfigError(
            f"build.row_tokens={config.row_tokens}, build.max_samples={config.max_samples}: a "
            f"worker would hold {rows} rows of {row_bytes:,} bytes; {remedy}"
        )


def _check_turns(config: BuildConfig, mixed: list[str]) -> None:
    several = [name for name in mixed if config.objective[name].samples_per_window > 1]
    if several:
        raise ConfigError(
            f"build.objective.{several[0]}.samples_per_window is above 1, so shares of samples "
            'cannot be kept; set build.mix_by="tokens"'
        )


def check_vocabulary(config: BuildConfig, special: SpecialTokens) -> None:
    """Raise `ConfigError` when the vocabulary has too few sentinels for the objectives."""
    for name, objective in config.objective.items():
        form = OBJECTIVES[objective.kind].form
        if not form.has_sentinels and not (config.sentinels and form.can_have_sentinels):
            continue
        needed = max_spans(config.window_tokens // objective.samples_per_window, objective) - 1
        if needed > special.num_sentinels:
            raise ConfigError(
                f"objective '{name}' can have {needed + 1} spans in a window, but the tokenizer "
                f"has {special.num_sentinels} sentinels; set build.tokenizer.sentinels={needed} "
                "or more"
            )
