"""Checks: what does not fit together is named before anything is written."""

from dataclasses import replace

import pytest

from jobs.options import PRESETS, find_preset
from pipeline.checks import check_config, check_vocabulary
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.config import load_config
from schemas.errors import ConfigError
from tests.strategies import SPECIAL

BLANK = ObjectiveConfig(kind="blank")
INSTRUCTION = ObjectiveConfig(kind="instruction")


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_can_be_built(preset: str) -> None:
    config = load_config(find_preset(preset)).build
    check_config(config)
    sentinels = replace(SPECIAL, num_sentinels=config.tokenizer.sentinels)
    check_vocabulary(config, sentinels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": {"a": replace(BLANK, kind="blnk")}}, r"a\.kind is 'blnk'; choose from"),
        ({"objective": {"a": INSTRUCTION}}, "no objective but instructions"),
        ({"objective": {"a": INSTRUCTION, "b": INSTRUCTION, "c": BLANK}}, "a and b are both"),
        ({"row_tokens": 600}, "cannot hold the longest sample of objective 'blank': 664"),
        ({"text_field": ""}, r"build\.text_field is empty; name a field"),
        ({"prompt_field": "text"}, "are text, text, completion; they must differ"),
        ({"splitter": ""}, r"build\.splitter is empty"),
        (
            {"row_tokens": 40_000, "record_batch_rows": 4096},
            r"would hold 5120 rows .* set build.record_batch_rows=65\d",
        ),
        ({"row_tokens": 2**20}, r"would hold .* lower row_tokens"),
        (
            {"objective": {"a": replace(BLANK, replace_ratio=0.9, random_ratio=0.2)}},
            "are more than 1 together",
        ),
        (
            {"objective": {"a": BLANK, "b": replace(BLANK, samples_per_window=4)}},
            'set build.mix_by="tokens"',
        ),
        (
            {"window_tokens": 64, "objective": {"a": replace(BLANK, samples_per_window=16)}},
            "leaves windows of less than 8 tokens",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_config(replace(BuildConfig(), **changes))  # type: ignore[arg-type]


def test_too_few_sentinels_are_named_with_the_number_that_works() -> None:
    config = BuildConfig(sentinels=True)
    check_vocabulary(config, replace(SPECIAL, num_sentinels=75))
    with pytest.raises(ConfigError, match=r"76 spans .* 74 .* set build.tokenizer.sentinels=75"):
        check_vocabulary(config, replace(SPECIAL, num_sentinels=74))
    check_vocabulary(BuildConfig(), replace(SPECIAL, num_sentinels=0))
