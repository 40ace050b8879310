"""glm-base on the shared English corpus: rows are full, laws hold, nothing is left out."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.corpus import write_jsonl
from jobs.build import BuildRequest, build_dataset
from jobs.options import find_preset
from schemas.config import load_config
from tests.corpus import NoProgress

MEGABYTES = 400.0 if os.environ.get("BLANKSTREAM_FULL") else 12.0


@pytest.mark.usefixtures("shared_data")
def test_rows_of_glm_base_are_at_least_98_percent_full(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "text.jsonl", MEGABYTES)
    config = load_config(find_preset("glm-base")).build
    tokenizer = replace(config.tokenizer, vocab_size=8000, sample_characters=1_000_000)
    request = BuildRequest(
        replace(config, tokenizer=tokenizer), [tmp_path / "text.jsonl"], tmp_path / "d", "serial", 1
    )
    manifest = build_dataset(request, NoProgress())
    train = manifest.statistics["train"]
    assert train["fill"] >= 0.98
    laws = train["objectives"]["blank"]["laws"]
    assert laws["span_lengths"]["observations"] > 50_000
    assert all(law["total_variation"] < 0.02 for law in laws.values())
    left_out = {name: count for name, count in manifest.counts.items() if ".dropped." in name}
    assert sum(left_out.values()) == 0
