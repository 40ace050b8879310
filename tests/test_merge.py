"""A merge: the rows of the first data set, then those of the second, and a data set like any."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.care.inspection import VerifyRequest
from jobs.care.merge import merge_datasets
from jobs.care.repair import RepairRequest, repair_dataset
from jobs.care.verify import verify_dataset
from pipeline.care.whole import read_whole
from pipeline.dataset import open_dataset
from pipeline.stores.local import LocalStore
from pipeline.stream import RowStream
from schemas.build_config import BuildConfig, TokenizerConfig
from schemas.errors import CorruptDataError, DatasetError, InputError, UserError
from schemas.manifest import SPLITS, Manifest
from schemas.names import MANIFEST_NAME
from schemas.plan import WorkItem
from tests.corpus import NoProgress, file_hashes, small_config, the_file
from tests.datasets import flip
from tests.resealed import Resealed

ROOT = Path(__file__).resolve().parents[1]
WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "


def build(output: Path, config: BuildConfig, *inputs: Path) -> Path:
    build_dataset(BuildRequest(config, inputs, output, "serial", 1), NoProgress())
    return output


def merge(output: Path, *datasets: Path) -> Manifest:
    return merge_datasets(datasets, output, lambda size: None)


def texts(folder: Path, name: str, first: int = 0, count: int = 40) -> Path:
    """An input of `count` documents, of which the last line is none."""
    folder.mkdir(exist_ok=True)
    lines = [
        json.dumps({"id": f"{name}{n}", "text": f"{WORDS * 8}{name} {n}. " * 2}) + "\n"
        for n in range(first, first + count)
    ]
    (folder / f"{name}.jsonl").write_text("".join(lines) + "{broken\n")
    return folder / f"{name}.jsonl"


@pytest.fixture(scope="module")
def ours(built: Path) -> BuildConfig:
    """With the tools of `built`, so that all data sets have one recipe."""
    return small_config(
        max_bad_ratio=0.2,
        splitter=str(built / "splitter.json"),
        tokenizer=TokenizerConfig(path=str(built / "tokenizer")),
    )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, ours: BuildConfig) -> dict[str, Path]:
    """`<format>-a`, of two generations of slices, and `<format>-b`, of one and a later pass;
    both of two passes."""
    folder = tmp_path_factory.mktemp("parts")
    first, more, second = (texts(folder / "in", name) for name in ("first", "more", "second"))
    made = {"in": folder / "in"}
    for shard_format in ("arrow", "tar"):
        two = replace(ours, shard_format=shard_format, passes=2)
        a, b = (folder / f"{shard_format}-{name}" for name in "ab")
        build(a, two, first)
        build(a, two, first, more)
        build(b, replace(two, passes=1), second)
        build(b, two, second)
        made |= {a.name: a, b.name: b}
    return made


@pytest.mark.parametrize("shard_format", ["arrow", "tar"])
def test_a_merge_is_a_data_set_like_any_other(
    parts: dict[str, Path], tmp_path: Path, shard_format: str
) -> None:
    a, b = parts[f"{shard_format}-a"], parts[f"{shard_format}-b"]
    before, merged = (file_hashes(a), file_hashes(b)), tmp_path / "c"
    merge(merged, a, b)
    assert (file_hashes(a), file_hashes(b)) == before
    whole = file_hashes(merged)
    request = VerifyRequest(merged, is_deep=True, inputs=[parts["in"]], share=0.3)
    found = verify_dataset(request, lambda size: None)
    assert (found.problems, found.notes) == ((), ())
    assert found.items == sum(len(items_of(one)) for one in (a, b)) > found.rederived > 0
    merge(merged, a, b)
    assert file_hashes(merged) == whole
    shutil.rmtree(merged / "shards")
    the_file(merged, "shards-*.arrow").unlink()
    repair_dataset(RepairRequest(merged, [parts["in"]]), lambda size: None)
    assert file_hashes(merged) == whole


def test_its_rows_are_those_of_the_first_then_those_of_the_second(
    parts: dict[str, Path], tmp_path: Path
) -> None:
    a, b = parts["arrow-a"], parts["arrow-b"]
    for number, pair in enumerate(((a, b), (b, a))):
        merged = tmp_path / str(number)
        merge(merged, *pair)
        for split in SPLITS:
            first, second, both = (rows_of(one, split) for one in (*pair, merged))
            np.testing.assert_array_equal(both, np.concatenate((first, second)))
    with RowStream(tmp_path / "0", batch_rows=7, epochs=1) as stream:
        batches = list(stream)
    assert sum(len(batch.tokens) for batch in batches) == len(rows_of(tmp_path / "0", "train"))


def rows_of(dataset: Path, split: str) -> np.ndarray:
    opened = open_dataset(dataset)
    return opened.reader(split).gather(np.arange(opened.num_rows(split)))


def test_counts_add_up_and_items_keep_their_ids(parts: dict[str, Path], tmp_path: Path) -> None:
    a, b = parts["arrow-a"], parts["arrow-b"]
    manifest = merge(tmp_path / "c", a, b)
    counts = [open_dataset(one).manifest.counts for one in (a, b)]
    assert manifest.counts == {
        name: sum(one.get(name, 0) for one in counts)
        for name in counts[0].keys() | counts[1].keys()
    }
    assert manifest.counts["bad.malformed_json"] == 3
    ids = [[item.id for item in items_of(one)] for one in (a, b)]
    whole = read_whole(LocalStore(tmp_path / "c"))
    assert [item.id for item in items_of(tmp_path / "c")] == ids[0] + ids[1]
    assert whole.plan.passes == 2
    assert whole.plan.num_slices == sum(
        read_whole(LocalStore(one)).plan.num_slices for one in (a, b)
    )


def items_of(dataset: Path) -> list[WorkItem]:
    return Resealed(dataset).items()


def test_merging_in_two_steps_or_in_one_gives_the_same_rows(
    parts: dict[str, Path], tmp_path: Path, ours: BuildConfig
) -> None:
    third = build(tmp_path / "t", replace(ours, passes=2), texts(tmp_path / "in", "third"))
    a, b = parts["arrow-a"], parts["arrow-b"]
    merge(tmp_path / "ab", a, b)
    merge(tmp_path / "steps", tmp_path / "ab", third)
    merge(tmp_path / "once", a, b, third)
    assert file_hashes(tmp_path / "steps") == file_hashes(tmp_path / "once")


def test_a_merge_grows_from_the_inputs_of_all(
    parts: dict[str, Path], tmp_path: Path, ours: BuildConfig
) -> None:
    merged = tmp_path / "c"
    merge(merged, parts["arrow-a"], parts["arrow-b"])
    before = rows_of(merged, "train")
    fourth = texts(tmp_path / "in", "fourth")
    build(merged, replace(ours, passes=3), parts["in"], fourth)
    np.testing.assert_array_equal(rows_of(merged, "train")[: len(before)], before)
    assert verify_dataset(VerifyRequest(merged), lambda size: None).problems == ()


@pytest.mark.fault
def test_a_killed_merge_goes_on_to_the_same_bytes(parts: dict[str, Path], tmp_path: Path) -> None:
    a, b = parts["arrow-a"], parts["arrow-b"]
    merge(tmp_path / "whole", a, b)
    code = (
        "import os, signal, sys\nfrom jobs.care.merge import merge_datasets\n"
        "left = int(sys.argv[4])\n"
        "def advance(size):\n    global left\n    left -= 1\n"
        "    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"
        "merge_datasets(sys.argv[1:3], sys.argv[3], advance)"
    )
    for after in (1, 5, 9) if os.environ.get("BLANKSTREAM_FULL") else (5,):
        merged = tmp_path / str(after)
        command = [sys.executable, "-c", code, a, b, merged, after]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        assert not (merged / MANIFEST_NAME).exists()
        with pytest.raises(DatasetError, match="holds another data set, or a merge of others"):
            merge(merged, b, a)
        merge(merged, a, b)
        assert file_hashes(merged) == file_hashes(tmp_path / "whole")


def test_what_cannot_be_merged_is_refused_before_anything_is_written(
    parts: dict[str, Path], tmp_path: Path, ours: BuildConfig
) -> None:
    a, b, merged = parts["arrow-a"], parts["arrow-b"], tmp_path / "c"
    two = replace(ours, passes=2)
    other = build(
        tmp_path / "o", replace(two, seed=7, window_tokens=48), parts["in"] / "more.jsonl"
    )
    with pytest.raises(
        DatasetError, match=r"build\.seed: 1 -> 7\n  build\.window_tokens: 64 -> 48"
    ):
        merge(merged, a, other)
    once = build(tmp_path / "p", ours, texts(tmp_path / "in", "once"))
    with pytest.raises(DatasetError, match="2 and 1 passes; grow one of them"):
        merge(merged, a, once)
    with pytest.raises(DatasetError, match=r"1 inputs \(second\.jsonl\) are in two .* twice"):
        merge(merged, b, b)
    changed = build(tmp_path / "q", two, texts(tmp_path / "in", "second", first=100))
    with pytest.raises(DatasetError, match=r"1 inputs \(second\.jsonl\) .* different content"):
        merge(merged, b, changed)
    with pytest.raises(UserError, match="merge needs two data sets or more"):
        merge(merged, a)
    with pytest.raises(DatasetError, match="no such folder"):
        merge(merged, a, tmp_path / "nowhere")
    assert not merged.exists()
    before = file_hashes(b)
    with pytest.raises(DatasetError, match="holds another data set"):
        merge(b, a, b)
    assert file_hashes(b) == before


def test_a_document_id_in_two_data_sets_is_found_at_the_end(
    parts: dict[str, Path], tmp_path: Path, ours: BuildConfig
) -> None:
    path = texts(tmp_path / "in", "again")
    path.write_text(path.read_text().replace('"again7"', '"second7"'))
    again = build(tmp_path / "d", replace(ours, passes=2), path)
    told = r"id 'second7' occurs twice, at work item \d+ \(second\.jsonl\) and work item"
    with pytest.raises(InputError, match=told):
        merge(tmp_path / "c", parts["arrow-b"], again)
    with pytest.raises(DatasetError, match="the build has not finished"):
        open_dataset(tmp_path / "c")


@pytest.mark.fault
@pytest.mark.parametrize("shard_format", ["arrow", "tar"])
@pytest.mark.parametrize("pattern", ["shards/train/*/*/*-00000-*", "records/*/*/*.documents.arrow"])
def test_a_damaged_file_is_not_copied(
    parts: dict[str, Path], tmp_path: Path, shard_format: str, pattern: str
) -> None:
    b = shutil.copytree(parts[f"{shard_format}-b"], tmp_path / "b")
    path = sorted(b.glob(pattern))[1]
    flip(path, path.stat().st_size // 2)
    with pytest.raises(CorruptDataError, match=f"{path}: .*run `blankstream repair`"):
        merge(tmp_path / "c", parts[f"{shard_format}-a"], b)
    flip(path, path.stat().st_size // 2)
    merge(tmp_path / "c", parts[f"{shard_format}-a"], b)
    merge(tmp_path / "d", parts[f"{shard_format}-a"], b)
    assert file_hashes(tmp_path / "c") == file_hashes(tmp_path / "d")
