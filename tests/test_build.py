"""A build: same plan, same bytes, whoever runs it, whatever happened before."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.plan_build import read_plan
from jobs.summary import build_summary
from pipeline.build import BuildContext, build_work_item
from pipeline.dataset import open_dataset
from pipeline.packing import decode_row
from pipeline.plan_tables import PlanReader
from pipeline.stores.local import LocalStore
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.errors import ConfigError, DatasetError, InputError
from schemas.storage import TEMPORARY_MARK
from tests.corpus import NoProgress, file_hashes, small_config, the_file
from tests.datasets import flip, reseal


def build(corpus: Path, output: Path, config: BuildConfig, executor: str = "serial") -> NoProgress:
    progress = NoProgress()
    build_dataset(BuildRequest(config, [corpus], output, executor, 2), progress)
    return progress


def test_a_data_set_holds_what_the_design_says(built: Path) -> None:
    names = set(file_hashes(built))
    assert {"plan.json", "manifest.json", "manifests/0000.json", "splitter.json"} < names
    assert {"tokenizer/tokenizer.model", "config.toml"} < names
    for pattern in (
        "plan/slices-*.arrow",
        "plan/inputs-*.arrow",
        "shards-*.arrow",
        "records/pass-0000/00000/00000000-*.json",
        "records/pass-0000/00000/00000000-*.documents.arrow",
        "shards/train/pass-0000/00000/00000000-00000-*.arrow",
        "shards/heldout/00000/00000000-00000-*.arrow",
    ):
        assert the_file(built, pattern)
    assert "status.json" not in names
    assert not any(TEMPORARY_MARK in name for name in names)


def test_the_manifest_names_no_path_host_or_time(built: Path, corpus: Path) -> None:
    text = (built / "manifest.json").read_text() + (built / "plan.json").read_text()
    assert str(corpus) not in text
    assert str(built) not in text
    rows = json.loads((built / "manifest.json").read_text())["rows"]
    assert set(rows) == {"train", "heldout"}
    assert rows["train"] > 50
    assert rows["heldout"] > 5


def test_processes_do_not_change_bytes(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig
) -> None:
    build(corpus, tmp_path / "other", config, "processes")
    assert file_hashes(tmp_path / "other") == file_hashes(built)


@pytest.mark.ray
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ray_with_any_number_of_cpus_does_not_change_bytes(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig, workers: int
) -> None:
    request = BuildRequest(config, [corpus], tmp_path / "other", "ray", workers)
    build_dataset(request, NoProgress())
    assert file_hashes(tmp_path / "other") == file_hashes(built)


def without_items(built: Path, folder: Path) -> Path:
    """A copy of a data set with nothing but what precedes the items."""
    shutil.copytree(built, folder)
    for name in ("records", "shards", "manifests"):
        shutil.rmtree(folder / name)
    for path in (folder / "manifest.json", *folder.glob("shards-*.arrow")):
        path.unlink()
    return folder


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_submission_does_not_change_bytes(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig, seed: int
) -> None:
    folder = without_items(built, tmp_path / "again")
    plan = read_plan(LocalStore(folder))
    assert plan is not None
    with PlanReader(LocalStore(folder), plan) as reader:
        items = list(reader.items())
    np.random.default_rng(seed).shuffle(items)
    context = BuildContext(str(folder), {"topics.jsonl": corpus / "topics.jsonl"}, plan.recipe)
    for item in items:
        build_work_item(context, item)
    assert build(corpus, folder, config).state.done == 0
    assert file_hashes(folder) == file_hashes(built)


def test_a_finished_build_builds_nothing_again(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig
) -> None:
    shutil.copytree(built, tmp_path / "copy")
    progress = build(corpus, tmp_path / "copy", config)
    assert progress.state.done == 0
    assert progress.state.before == progress.state.total > 4
    assert file_hashes(tmp_path / "copy") == file_hashes(built)


@pytest.mark.parametrize(
    "lost",
    [
        "records/pass-0000/00000/00000001-*.json",
        "shards/train/pass-0000/00000/00000002-00000-*.arrow",
        "records/pass-0000/00000/00000003-*.documents.arrow",
    ],
)
def test_a_lost_file_is_built_again_and_nothing_else_is(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig, lost: str
) -> None:
    shutil.copytree(built, tmp_path / "copy")
    the_file(tmp_path / "copy", lost).unlink()
    progress = build(corpus, tmp_path / "copy", config)
    assert progress.state.done == 1
    assert file_hashes(tmp_path / "copy") == file_hashes(built)


def test_growing_keeps_every_finished_shard_byte_for_byte(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig
) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(built, grown)
    before = {
        name: found
        for name, found in file_hashes(built).items()
        if "/" in name or name.startswith("shards-")
    }
    old_rows = all_rows(built)
    (tmp_path / "more.jsonl").write_text(
        json.dumps({"id": "new", "text": "Something new. " * 400}) + "\n"
    )
    two_passes = small_config(passes=2)
    request = BuildRequest(
        two_passes, [corpus / "topics.jsonl", tmp_path / "more.jsonl"], grown, "serial", 1
    )
    build_dataset(request, NoProgress())
    after = file_hashes(grown)
    assert {name: after[name] for name in before} == before
    new_rows = all_rows(grown)
    assert len(new_rows) > 2 * len(old_rows) - 5
    np.testing.assert_array_equal(new_rows[: len(old_rows)], old_rows)
    with pytest.raises(DatasetError, match="fewer than the 2 passes already planned"):
        build(corpus, grown, config)


def all_rows(dataset: Path) -> np.ndarray:
    opened = open_dataset(dataset)
    return opened.reader("train").gather(np.arange(opened.num_rows("train")))


def test_passes_corrupt_the_same_text_independently(tmp_path: Path, corpus: Path) -> None:
    build(corpus, tmp_path / "d", small_config(passes=2))
    manifest = open_dataset(tmp_path / "d").manifest
    rows, row_format = all_rows(tmp_path / "d"), manifest.row_format
    blank, half = row_format.objectives.index("blank") + 1, len(rows) // 2
    first, second = (
        {
            sample.tokens.tobytes()
            for row in part
            for sample in decode_row(row, row_format)
            if sample.objective == blank and len(sample.tokens) > 30
        }
        for part in (rows[:half], rows[half:])
    )
    assert len(first) > 200
    assert len(second) > 200
    assert not first & second
    assert manifest.counts["documents"] == 25


def test_every_token_of_every_document_is_in_some_window(built: Path) -> None:
    counts = open_dataset(built).manifest.counts
    for split in ("train", "heldout"):
        framed = sum(
            counts.get(f"{split}.{name}.window_tokens", 0)
            - 2 * counts.get(f"{split}.{name}.samples", 0)
            for name in ("blank", "sentence", "document")
        )
        dropped = counts.get(f"{split}.windows.dropped.too_short", 0)
        assert framed + dropped == counts[f"{split}.document_tokens"]


def test_objectives_have_their_shares(built: Path) -> None:
    objectives = open_dataset(built).manifest.statistics["train"]["objectives"]
    for name, share in (("blank", 0.5), ("document", 0.3), ("sentence", 0.2)):
        assert abs(objectives[name]["share"] - share) < 0.03


def test_another_recipe_is_refused_with_the_keys_that_differ(
    tmp_path: Path, built: Path, corpus: Path
) -> None:
    shutil.copytree(built, tmp_path / "copy")
    changed = small_config(seed=7, window_tokens=48)
    with pytest.raises(
        DatasetError, match=r"build\.seed: 1 -> 7\n  build\.window_tokens: 64 -> 48"
    ):
        build(corpus, tmp_path / "copy", changed)
    other_words = small_config(tokenizer=changed.tokenizer.__class__(vocab_size=450))
    with pytest.raises(DatasetError, match=r"build\.tokenizer\.vocab_size: 500 -> 450"):
        build(corpus, tmp_path / "copy", other_words)
    assert file_hashes(tmp_path / "copy") == file_hashes(built)


def test_a_planned_input_that_changed_is_refused(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig
) -> None:
    shutil.copytree(built, tmp_path / "d")
    shutil.copytree(corpus, tmp_path / "c")
    file = tmp_path / "c" / "topics.jsonl"
    text = file.read_text()
    file.write_text(text + "\n")
    with pytest.raises(InputError, match=r"'topics\.jsonl' was planned with"):
        build(tmp_path / "c", tmp_path / "d", config)
    file.write_text(text.replace("Python", "Jython"))
    the_file(tmp_path / "d", FIRST_RECORD).unlink()
    with pytest.raises(InputError, match="have changed since the build was planned"):
        build(tmp_path / "c", tmp_path / "d", config)


def test_unfinished_items_name_the_inputs_they_need(
    tmp_path: Path, built: Path, config: BuildConfig
) -> None:
    shutil.copytree(built, tmp_path / "d")
    the_file(tmp_path / "d", FIRST_RECORD).unlink()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "other.txt").write_text("Some other text.")
    with pytest.raises(InputError, match=r"inputs that were not given: 1 \(topics\.jsonl\)"):
        build(tmp_path / "c", tmp_path / "d", config)


FIRST_RECORD = "records/pass-0000/00000/00000000-*.json"


def jsonl(folder: Path, *records: Any) -> Path:
    folder.mkdir()
    lines = (one if isinstance(one, str) else json.dumps(one) for one in records)
    (folder / "x.jsonl").write_text("\n".join(lines) + "\n")
    return folder


WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "


def test_an_id_that_occurs_twice_is_refused_unless_suffixed(tmp_path: Path) -> None:
    same = [{"id": "a", "text": WORDS * 5}, {"id": "a", "text": WORDS * 6}]
    folder, config = jsonl(tmp_path / "c", *same), small_config(heldout_ratio=0.0)
    with pytest.raises(InputError, match=r"id 'a' occurs twice, at x\.jsonl#0 and x\.jsonl#"):
        build(folder, tmp_path / "d", config)
    (folder / "y.jsonl").write_text(json.dumps({"id": "b", "text": WORDS}) + "\n")
    build(folder, tmp_path / "e", small_config(heldout_ratio=0.0, duplicate_ids="suffix"))


def test_an_id_in_two_items_is_found_before_the_manifest_is_written(tmp_path: Path) -> None:
    lines = [{"id": str(number % 30), "text": WORDS * 8} for number in range(31)]
    with pytest.raises(InputError, match="id '0' occurs twice, at work item 0"):
        build(jsonl(tmp_path / "c", *lines), tmp_path / "d", small_config())
    with pytest.raises(DatasetError, match="the build has not finished"):
        open_dataset(tmp_path / "d")


def test_bad_input_is_counted_quarantined_and_limited(tmp_path: Path) -> None:
    good = [{"id": f"g{number}", "text": WORDS * 9} for number in range(40)]
    folder = jsonl(tmp_path / "c", *good, "{broken", {"text": ""}, {"id": "z", "text": " "})
    with pytest.raises(InputError, match=r"1 of 43 documents cannot be used.*First cases:\n  x\."):
        build(folder, tmp_path / "d", small_config())
    build(folder, tmp_path / "e", small_config(max_bad_ratio=0.1))
    counts = open_dataset(tmp_path / "e").manifest.counts
    assert counts["bad.malformed_json"] == 1
    assert counts["documents.dropped.empty_text"] == 2
    (line,) = the_file(tmp_path / "e", "quarantine/*/*.jsonl").read_text().splitlines()
    assert json.loads(line)["excerpt"] == "{broken\n"


def test_an_input_of_rubbish_stops_the_build_at_once(tmp_path: Path) -> None:
    good = [{"id": "g", "text": WORDS * 50}]
    folder = jsonl(tmp_path / "c", *good, *["{broken"] * 200)
    with pytest.raises(InputError, match="200 of 201 documents cannot be used"):
        build(folder, tmp_path / "d", small_config(item_bytes=1 << 20))


def test_the_ratio_asked_for_is_the_one_that_counts(tmp_path: Path) -> None:
    good = [{"id": f"g{number}", "text": WORDS * 9} for number in range(60)]
    folder = jsonl(tmp_path / "c", *good, *["{broken"] * 120)
    one_item = {"item_bytes": 1 << 20}
    build(folder, tmp_path / "d", small_config(max_bad_ratio=0.7, **one_item))
    with pytest.raises(InputError, match=r"120 of 180 .* more than the ratio 0\.6 allowed"):
        build(folder, tmp_path / "e", small_config(max_bad_ratio=0.6, **one_item))


def test_a_shard_that_is_finished_holds_nothing_open(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, drafts, most = 0, 0, 0
    make = LocalStore.draft

    @contextmanager
    def counted(store: LocalStore, folder: str) -> Iterator[Any]:
        nonlocal opened, drafts, most
        opened, drafts = opened + 1, drafts + 1
        most = max(most, opened)
        with make(store, folder) as draft:
            yield draft
        opened -= 1

    monkeypatch.setattr(LocalStore, "draft", counted)
    config = small_config(shard_rows=8, record_batch_rows=4, item_bytes=1 << 20)
    build(corpus, tmp_path / "d", config)
    assert drafts > 30
    assert most <= 4


def test_many_short_documents_lose_nothing(tmp_path: Path) -> None:
    words = [{"id": str(n), "text": f"word{n} again"} for n in range(300)]
    folder = jsonl(tmp_path / "c", {"id": "long", "text": WORDS * 99}, *words)
    build(folder, tmp_path / "d", small_config(heldout_ratio=0.0))
    counts = open_dataset(tmp_path / "d").manifest.counts
    samples = sum(n for name, n in counts.items() if name.endswith(".samples"))
    assert counts["train.documents"] == 301
    assert samples >= 301


def test_nothing_left_to_train_on_is_an_error(tmp_path: Path) -> None:
    folder = jsonl(tmp_path / "c", {"text": ""})
    with pytest.raises(InputError, match="no document of the inputs can be used"):
        build(folder, tmp_path / "d", small_config())
    assert not (tmp_path / "d").exists()


def test_a_row_too_short_for_its_longest_sample_is_refused(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match=r"set build\.row_tokens=82 or lower"):
        build(corpus, tmp_path / "d", small_config(row_tokens=70))
    objective = {"x": ObjectiveConfig(kind="words")}
    with pytest.raises(ConfigError, match=r"objective\.x\.kind is 'words'; choose from blank"):
        build(corpus, tmp_path / "d", small_config(objective=objective))
    assert not (tmp_path / "d").exists()


def test_a_folder_that_holds_something_else_is_not_built_into(
    tmp_path: Path, corpus: Path, config: BuildConfig
) -> None:
    (tmp_path / "thesis.doc").write_text("ten years of work")
    with pytest.raises(DatasetError, match=r"holds no plan\.json but other files \(thesis\.doc"):
        build(corpus, tmp_path, config)
    with pytest.raises(DatasetError, match="is a file; give a folder as --output"):
        build(corpus, tmp_path / "thesis.doc", config)


@pytest.mark.fault
@pytest.mark.parametrize("damage", ["another item", "truncated", "a flipped bit"])
def test_a_record_that_cannot_be_trusted_is_built_again(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig, damage: str
) -> None:
    shutil.copytree(built, tmp_path / "d")
    record = the_file(tmp_path / "d", FIRST_RECORD)
    if damage == "another item":
        reseal(record, item="0" * 64)
    elif damage == "truncated":
        record.write_text(record.read_text()[:100])
    else:
        flip(record, record.stat().st_size // 2)
    progress = build(corpus, tmp_path / "d", config)
    assert progress.state.done == 1
    assert progress.notes == [
        "1 items have damaged or missing files and are built again, the first is "
        "pass-0000/00000/00000000"
    ]
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_an_item_built_to_other_bytes_is_refused(
    tmp_path: Path, built: Path, corpus: Path, config: BuildConfig
) -> None:
    folder = without_items(built, tmp_path / "d")
    build(corpus, folder, config)
    record = the_file(folder, FIRST_RECORD)
    counts = json.loads(record.read_text())["counts"]
    reseal(record, counts=counts | {"documents": 7})
    the_file(folder, "shards/train/pass-0000/00000/00000000-00000-*.arrow").unlink()
    with pytest.raises(DatasetError, match="another worker built this item to other bytes"):
        build(corpus, folder, config)


def test_a_document_of_many_megabytes_on_one_line_is_built(tmp_path: Path) -> None:
    long = {"id": "long", "text": "A short sentence here. " * 300_000}
    folder = jsonl(tmp_path / "c", long, {"id": "b", "text": WORDS * 9})
    config = small_config(heldout_ratio=0.0, window_tokens=512, row_tokens=1024)
    build(folder, tmp_path / "d", config)
    counts = open_dataset(tmp_path / "d").manifest.counts
    assert counts["train.documents"] == 2
    assert counts["train.document_tokens"] > 1_000_000


def test_growing_with_a_changed_input_leaves_the_data_set_as_it_was(
    tmp_path: Path, built: Path, corpus: Path
) -> None:
    shutil.copytree(built, tmp_path / "d")
    shutil.copytree(corpus, tmp_path / "c")
    file = tmp_path / "c" / "topics.jsonl"
    file.write_text(file.read_text().replace("Python", "Jython"))
    with pytest.raises(InputError, match="changed since it was planned"):
        build(tmp_path / "c", tmp_path / "d", small_config(passes=2))
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_a_growth_that_lacks_an_input_leaves_the_data_set_as_it_was(
    tmp_path: Path, built: Path
) -> None:
    shutil.copytree(built, tmp_path / "d")
    folder = jsonl(tmp_path / "c", {"id": "new", "text": WORDS * 9})
    with pytest.raises(InputError, match="unfinished work items need inputs that were not given"):
        build(folder, tmp_path / "d", small_config(passes=2))
    assert file_hashes(tmp_path / "d") == file_hashes(built)


def test_an_output_inside_the_input_folder_is_not_read(
    tmp_path: Path, corpus: Path, built: Path, config: BuildConfig
) -> None:
    shutil.copytree(corpus, tmp_path / "c")
    for _ in range(2):
        build(tmp_path / "c", tmp_path / "c" / "d", config)
    assert file_hashes(tmp_path / "c" / "d") == file_hashes(built)


def test_files_of_no_known_format_are_named(
    tmp_path: Path, corpus: Path, config: BuildConfig
) -> None:
    shutil.copytree(corpus, tmp_path / "c")
    (tmp_path / "c" / "image.png").write_text("x")
    progress = build(tmp_path / "c", tmp_path / "d", config)
    assert progress.notes == ["Not read: 1 of no known format (image.png)"]


def test_the_first_cases_of_bad_input_are_shown_whatever_they_hold(tmp_path: Path) -> None:
    good = [{"id": f"g{number}", "text": WORDS * 9} for number in range(20)]
    folder = jsonl(tmp_path / "c", *good, '{"text": \u2028\x85', '{"text": 3}')
    with pytest.raises(InputError, match=r"malformed_json .*\n .*no_text"):
        build(folder, tmp_path / "d", small_config())


def test_another_splitter_of_the_same_name_is_refused(
    tmp_path: Path, corpus: Path, built: Path
) -> None:
    file = tmp_path / "mine.json"
    file.write_bytes((built / "splitter.json").read_bytes())
    config = small_config(splitter=str(file))
    build(corpus, tmp_path / "d", config)
    file.write_text(file.read_text().replace('"e.g"', '"x.y"').replace('"i.e"', '"z.w"'))
    with pytest.raises(DatasetError, match="splitter_sha256: "):
        build(corpus, tmp_path / "d", config)


def test_windows_that_are_too_short_are_counted_and_shown(tmp_path: Path) -> None:
    words = [{"id": str(n), "text": "a"} for n in range(5)]
    folder = jsonl(tmp_path / "c", {"id": "long", "text": WORDS * 99}, *words)
    build(folder, tmp_path / "d", small_config(heldout_ratio=0.0))
    manifest = open_dataset(tmp_path / "d").manifest
    short = manifest.counts["train.windows.dropped.too_short"]
    assert short > 0
    assert f"train.windows.dropped.too_short {short}" in build_summary(tmp_path / "d", manifest)
