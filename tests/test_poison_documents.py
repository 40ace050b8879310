"""Documents that no worker can take are found, named, counted and left out; the build goes on."""

import json
from functools import partial
from pathlib import Path

import pytest

import jobs.build
from jobs.build import BuildRequest, build_dataset
from jobs.isolation import Limits
from pipeline import text
from schemas.errors import InputError
from schemas.manifest import Manifest
from tests import poison
from tests.corpus import NoProgress, file_hashes, small_config, the_file

WORDS = "The quick brown fox jumps over the lazy dog and runs away from it. "
POISON = {"k1": poison.KILLS, "k2": poison.KILLS, "r1": poison.RAISES}


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_encode", text._encode)  # serial workers patch this process
    monkeypatch.setattr(jobs.build, "build_work_item", poison.build_or_die)
    monkeypatch.setattr(jobs.build, "probe_documents", poison.probe_or_die)
    monkeypatch.setattr(jobs.build, "Limits", partial(Limits, retry_seconds=0.05))


def write_corpus(folder: Path, poisoned: dict[str, str]) -> Path:
    documents = {f"g{number:03d}": WORDS * 4 for number in range(120)} | poisoned
    lines = [json.dumps({"id": name, "text": documents[name]}) for name in sorted(documents)]
    folder.mkdir()
    (folder / "x.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def build(folder: Path, output: Path, executor: str, ratio: float = 0.1) -> Manifest:
    config = small_config(item_bytes=8192, max_bad_ratio=ratio)
    return build_dataset(BuildRequest(config, [folder], output, executor, 2), NoProgress())


@pytest.mark.fault
@pytest.mark.usefixtures("deadly")
@pytest.mark.parametrize(
    "executor", ["processes", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])]
)
def test_documents_that_kill_workers_are_quarantined(tmp_path: Path, executor: str) -> None:
    folder = write_corpus(tmp_path / "c", POISON)
    manifest = build(folder, tmp_path / "d", executor)
    assert manifest.counts["bad.killed_worker"] == 2
    assert manifest.counts["bad.raised_error"] == 1
    assert manifest.counts["documents"] == 120
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "d" / "quarantine").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert {line["id"]: line["reason"] for line in lines} == {
        "k1": "killed_worker",
        "k2": "killed_worker",
        "r1": "raised_error",
    }
    assert "panic in a library" in next(one["detail"] for one in lines if one["id"] == "r1")
    before = file_hashes(tmp_path / "d")
    the_file(tmp_path / "d", "shards/train/pass-0000/00000/00000000-00000-*.arrow").unlink()
    build(folder, tmp_path / "d", executor)
    assert file_hashes(tmp_path / "d") == before


@pytest.mark.fault
@pytest.mark.usefixtures("deadly")
def test_an_error_is_isolated_without_other_processes(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"r1": poison.RAISES})
    assert build(folder, tmp_path / "d", "serial").counts["bad.raised_error"] == 1


@pytest.mark.fault
@pytest.mark.usefixtures("deadly")
def test_bad_lines_beside_it_are_not_blamed(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"r1": poison.RAISES})
    with (folder / "x.jsonl").open("a") as file:
        file.write("{broken\n" * 110)
    config = small_config(item_bytes=1 << 20, max_bad_ratio=0.5)
    request = BuildRequest(config, [folder], tmp_path / "d", "serial", 1)
    counts = build_dataset(request, NoProgress()).counts
    assert (counts["bad.raised_error"], counts["bad.malformed_json"]) == (1, 110)


@pytest.mark.fault
@pytest.mark.usefixtures("deadly")
def test_too_many_of_them_end_the_build_like_other_bad_input(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"r1": poison.RAISES, "r2": poison.RAISES})
    with pytest.raises(InputError, match=r"(?s)2 of 122 documents cannot be used.*raised_error"):
        build(folder, tmp_path / "d", "serial", ratio=0.01)
