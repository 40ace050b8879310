"""A dry run plans as the build does, samples, refuses what the build refuses, writes nothing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.build_sample import SAMPLE_ITEMS
from jobs.dry_run import dry_run
from jobs.estimate import Estimate, render_estimate
from pipeline.dataset import open_dataset
from pipeline.stores.choice import open_store
from schemas.build_config import BuildConfig
from schemas.errors import DatasetError, InputError
from tests.corpus import NoProgress, file_hashes, small_config, the_file
from tests.object_server import object_server

WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "


def tried(corpus: Path, output: Path, config: BuildConfig, **changes: Any) -> Estimate:
    request = BuildRequest(config, [corpus], output, "serial", 2)
    return dry_run(replace(request, **changes), NoProgress())


def item_bytes(folder: Path) -> int:
    """Bytes of everything that work items have written."""
    files = (file for kind in ("shards", "records") for file in (folder / kind).rglob("*.*"))
    return sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("passes", [1, 2])
def test_it_is_exact_where_every_item_is_sampled(tmp_path: Path, corpus: Path, passes: int) -> None:
    config = small_config(item_bytes=1 << 20, passes=passes)
    estimate = tried(corpus, tmp_path / "d", config)
    build_dataset(BuildRequest(config, [corpus], tmp_path / "d", "serial", 1), NoProgress())
    assert estimate.items == estimate.pending_items == passes
    assert estimate.forecast
    assert estimate.forecast.is_exact
    manifest = open_dataset(tmp_path / "d").manifest
    assert estimate.forecast.rows == manifest.rows
    assert estimate.forecast.tokens >= manifest.counts["documents.tokens"]
    assert estimate.forecast.disk_bytes == item_bytes(tmp_path / "d")
    assert "rows and bytes are exact" in render_estimate(estimate)
    assert "about " not in render_estimate(estimate).split("time:")[0]


def test_three_of_nine_items_say_about_what_all_come_to(
    tmp_path: Path, corpus: Path, built: Path, config: BuildConfig
) -> None:
    estimate = tried(corpus, tmp_path / "d", config)
    found, rows = estimate.forecast, open_dataset(built).manifest.rows
    assert found
    assert not found.is_exact
    assert found.sampled_items == SAMPLE_ITEMS < estimate.items
    assert found.rows["train"] == pytest.approx(rows["train"], rel=0.15)
    assert found.disk_bytes == pytest.approx(item_bytes(built), rel=0.15)
    assert estimate.source_bytes == estimate.pending_bytes
    again = tried(corpus, tmp_path / "d", config).forecast
    assert again
    assert (again.rows, again.disk_bytes) == (found.rows, found.disk_bytes)
    text = render_estimate(estimate)
    assert f"{tmp_path / 'd'}: a new data set would be begun; nothing was written there" in text
    assert f"sampled: {SAMPLE_ITEMS} items, " in text
    assert list(tmp_path.iterdir()) == []
    assert "with --executor serial and 1 worker, " in text


def test_a_finished_data_set_has_nothing_to_build_and_stays_as_it_is(
    tmp_path: Path, corpus: Path, built: Path, config: BuildConfig
) -> None:
    shutil.copytree(built, tmp_path / "d")
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "d").rglob("*")}
    estimate = tried(corpus, tmp_path / "d", config)
    assert estimate.growth.kind == "finished"
    assert (estimate.pending_items, estimate.forecast) == (0, None)
    assert "version 0 is finished, and no item is to be built" in render_estimate(estimate)
    assert file_hashes(tmp_path / "d") == file_hashes(built)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "d").rglob("*")} == times


def test_an_unfinished_data_set_is_continued_with_what_has_no_record(
    tmp_path: Path, corpus: Path, built: Path, config: BuildConfig
) -> None:
    shutil.copytree(built, tmp_path / "d")
    the_file(tmp_path / "d", "records/pass-0000/00000/00000001-*.json").unlink()
    before = file_hashes(tmp_path / "d")
    estimate = tried(corpus, tmp_path / "d", config)
    assert estimate.growth.kind == "continued"
    assert estimate.pending_items == 1
    assert estimate.forecast
    assert estimate.forecast.is_exact
    assert "version 0 would be continued" in render_estimate(estimate)
    assert file_hashes(tmp_path / "d") == before


def test_growth_by_inputs_and_passes_is_told(tmp_path: Path, corpus: Path, built: Path) -> None:
    shutil.copytree(built, tmp_path / "d")
    line = json.dumps({"id": "new", "text": WORDS * 200})
    (tmp_path / "more.jsonl").write_text(line + "\n")
    inputs = [corpus / "topics.jsonl", tmp_path / "more.jsonl"]
    estimate = tried(corpus, tmp_path / "d", small_config(passes=2), inputs=inputs)
    num_slices = json.loads((built / "plan.json").read_text())["generations"][-1]["stop_slice"]
    assert estimate.growth.kind == "grown"
    assert estimate.growth.passes == (1, 2)
    assert estimate.growth.slices[0] == num_slices
    new = estimate.growth.slices[1] - num_slices
    assert estimate.pending_items == num_slices + 2 * new
    assert f"grow to version 1 ({new} slice" in render_estimate(estimate)
    assert "passes 1 -> 2)" in render_estimate(estimate)
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_what_the_build_refuses_is_refused_in_its_words(
    tmp_path: Path, corpus: Path, built: Path, config: BuildConfig
) -> None:
    shutil.copytree(built, tmp_path / "d")
    with pytest.raises(DatasetError, match=r"build\.seed: 1 -> 7"):
        tried(corpus, tmp_path / "d", small_config(seed=7))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "other.txt").write_text("Some other text.")
    the_file(tmp_path / "d", "records/pass-0000/00000/00000001-*.json").unlink()
    with pytest.raises(InputError, match=r"inputs that were not given: 1 \(topics\.jsonl\)"):
        tried(tmp_path / "c", tmp_path / "d", config)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "thesis.doc").write_text("ten years of work")
    with pytest.raises(DatasetError, match=r"holds no plan\.json but other files"):
        tried(corpus, tmp_path / "e", config)


def test_bad_input_in_the_sample_is_told_with_the_limit(tmp_path: Path) -> None:
    lines = [json.dumps({"id": str(number), "text": WORDS * 9}) for number in range(40)]
    (tmp_path / "c.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n")
    estimate = tried(tmp_path / "c.jsonl", tmp_path / "d", small_config(item_bytes=1 << 20))
    text = render_estimate(estimate)
    assert "bad input: 1 of 41 documents of the sample cannot be used" in text
    assert "build.max_bad_ratio is 1.00%; if all are so, the build ends with an error" in text


def test_the_time_falls_with_the_workers_but_not_below_the_largest_item(
    tmp_path: Path, corpus: Path, config: BuildConfig
) -> None:
    one = tried(corpus, tmp_path / "d", config)
    many = tried(corpus, tmp_path / "d", config, executor="processes", workers=4)
    assert one.forecast
    assert many.forecast
    assert (one.workers, many.workers) == (1, 4)
    assert one.forecast.seconds == one.forecast.worker_seconds
    parts = many.forecast.worker_seconds / many.forecast.seconds
    assert 3 < parts <= 4.0001
    single = tried(corpus, tmp_path / "d", small_config(item_bytes=1 << 20), workers=4)
    assert single.forecast
    assert single.forecast.seconds == single.forecast.worker_seconds


@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
def test_nothing_is_written_behind_a_url(corpus: Path) -> None:
    config = small_config(item_bytes=1 << 20)
    with object_server() as server:
        server.put("/sets")
        request = BuildRequest(config, [corpus], "s3://sets/d", "serial", 1)
        fresh = dry_run(request, NoProgress())
        assert list(open_store("s3://sets/d").every_file()) == []
        manifest = build_dataset(request, NoProgress())
        before = dict(open_store("s3://sets/d").every_file())
        again = dry_run(replace(request, config=replace(config, passes=2)), NoProgress())
        assert dict(open_store("s3://sets/d").every_file()) == before
    assert fresh.forecast
    assert fresh.forecast.rows == manifest.rows
    assert fresh.free_bytes is None
    assert again.forecast
    assert again.growth.kind == "grown"
    assert again.forecast.rows["heldout"] == 0
