"""Inspection: what a person sees of a row is what the model reads, from the bytes on disk on."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs.cli import main
from jobs.inspect import read_row
from jobs.pages.inspect_page import render_page
from jobs.sample_view import SampleView, view_sample
from pipeline.assemble import Rules
from pipeline.dataset import open_dataset
from pipeline.objectives import OBJECTIVES
from pipeline.packing import decode_row, empty_rows, encode_sample
from pipeline.tokens import load_tokenizer, save_tokenizer
from schemas.build_config import ObjectiveConfig, TokenizerConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import RowFormat, Sample
from tests.datasets import flip, reseal
from tests.faults import Faults
from tests.object_server import object_server
from tests.strategies import SPECIAL, VOCAB_SIZE
from tests.views import EVERY_KIND, ORIGIN, WORDS, Words, every_kind, printed, row_of, view_of


def worked_example() -> SampleView:
    """Figure 2 of the GLM paper, as in docs/sample-format.md."""
    x1, x2, x3, x4, x5, x6 = range(9, 15)
    ignored, (mask, start, end) = [IGNORE_INDEX] * 5, (SPECIAL.mask, SPECIAL.start, SPECIAL.end)
    columns = [
        [x1, x2, mask, x4, mask, start, x5, x6, start, x3],
        [*ignored, x5, x6, end, x3, end],
        [0, 1, 2, 3, 4, 4, 4, 4, 2, 2],
        [0, 0, 0, 0, 0, 1, 2, 3, 1, 2],
    ]
    sample = Sample(*np.array(columns, np.int32), boundary=5)
    rules = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, 64)
    return view_sample(sample, "blank", rules, ORIGIN, Words([f"x{n}" for n in range(1, 7)]))


def test_the_worked_example_looks_as_in_the_paper() -> None:
    shown = [line.rstrip() for line in printed(row_of(worked_example())).splitlines()]
    for line in (
        "  x1x2{2: x3}x4{1: x5x6}",
        "  x1x2{2: [MASK]}x4{1: [MASK]}",
        "   1   <sop> x5x6  →  x5x6 <eop>",
        "   2   <sop> x3  →  x3 <eop>",
        "  index          A0 A1 A2     A3 A4     B5    B6 B7    B8    B9",
        "  token          x1 x2 [MASK] x4 [MASK] <sop> x5 x6    <sop> x3",
        "  label          ·  ·  ·      ·  ·      x5    x6 <eop> x3    <eop>",
        "  position       0  1  2      3  4      4     4  4     2     2",
        "  block position 0  0  0      0  0      1     2  3     1     2",
        "  AA2A111122",
        "  █████▄",
        "  █████████▄",
    ):
        assert line in shown, line


@every_kind
def test_a_long_sample_is_shortened_unless_everything_is_asked_for(
    objective: ObjectiveConfig,
) -> None:
    row = row_of(view_of(objective, 400))
    brief, whole = printed(row), printed(row, everything=True)
    assert "…" in brief
    assert "…" not in whole
    assert len(brief) < len(whole) / 2
    last = row.samples[0].length - 1
    assert re.search(rf"\b[AB]{last}\b", whole)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["blankstream", "inspect", *map(str, arguments)])
        status: object = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return int(str(status)), captured.out, " ".join(captured.err.split())

    return call


def test_rows_on_disk_become_views_that_can_be_shown() -> None:
    views = [view_of(objective) for objective in EVERY_KIND]
    row_format = RowFormat(1024, 16, "uint16", tuple(OBJECTIVES))
    rows, first = empty_rows(1, row_format, SPECIAL.pad), 0
    for place, view in enumerate(views):
        encode_sample(rows[0], view.sample, (first, place), place + 1, row_format)
        first += view.length
    again = [
        view_sample(sample, view.name, view.rules, ORIGIN, WORDS)
        for sample, view in zip(decode_row(rows[0], row_format), views, strict=True)
    ]
    assert [view.text() for view in again] == [view.text() for view in views]
    assert render_page(row_of(*again)) == render_page(row_of(*views))


def test_a_row_of_a_data_set_names_where_each_sample_comes_from(built: Path, corpus: Path) -> None:
    text = (corpus / "topics.jsonl").read_bytes()
    view = read_row(open_dataset(built), "train", 2)
    assert view.samples
    for sample in view.samples:
        origin = sample.origin
        assert f'"id": "{origin.document}"'.encode() in text[origin.start : origin.stop]
        assert origin.source == "topics.jsonl"
        assert origin.stop_token - origin.first_token == len(sample.window) - 2


def test_a_page_is_written_whole_and_replaced_by_the_next(run, built: Path, tmp_path: Path) -> None:
    file = tmp_path / "row.html"
    for row in (0, 1):
        status, out, _ = run(built, "--row", row, "--html", file)
        assert (status, file.name in out) == (0, True)
        assert f"<h1>train row {row}</h1>" in file.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["row.html"]
    status, out, _ = run(built, "--split", "heldout", "--tokens")
    assert (status, "heldout row 0: " in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--row", "99999"), "row 99999 of train does not exist"),
        (("--row", "-1"), "row -1 of train does not exist"),
        (("--split", "test"), "'test' is not one of"),
        (("--html", "{tmp}"), "is a folder"),
        (("--html", "{tmp}/no/row.html"), "/no is no folder"),
        (("--html", "{tmp}/notes.txt"), "exists and is no page of this command"),
        (("--html", "{tmp}/notes.txt/row.html"), "notes.txt is no folder"),
        (("--html", "/dev/null"), "exists and is no page of this command"),
        (("--html", "/proc/row.html"), "cannot be written"),
        (("--html", "{tmp}/" + "n" * 300), "cannot be written"),
        (("--html", "{data}/row.html"), "is inside the data set"),
        (("--html", "{tmp}/row.html", "--row", "99999"), "does not exist"),
    ],
)
def test_what_cannot_be_shown_or_written_ends_with_status_2(
    run, built: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    before = sorted(built.rglob("*"))
    status, out, err = run(built, *(text.format(tmp=tmp_path, data=built) for text in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (sorted(built.rglob("*")), len(list(tmp_path.iterdir()))) == (before, 1)


def plans_of(data: Path) -> list[Path]:
    return [data / "plan.json", *data.glob("plan/*.json")]


@pytest.mark.fault
def test_the_plan_that_the_manifest_names_is_enough_wherever_it_is(
    run, built: Path, tmp_path: Path
) -> None:
    shown = run(built)
    shutil.copytree(built, tmp_path / built.name)
    data = tmp_path / built.name
    reseal(data / "plan.json", recipe={"build": {}})
    assert run(data) == shown
    (data / "plan.json").unlink()
    assert run(data) == shown
    (kept,) = data.glob("plan/*.json")
    kept.rename(data / "plan.json")
    assert run(data) == shown


@pytest.mark.fault
def test_a_data_set_without_any_plan_is_damaged(run, built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "d")
    for path in plans_of(tmp_path / "d"):
        flip(path, path.stat().st_size // 2)
    status, out, err = run(tmp_path / "d")
    assert (status, out) == (1, "")
    assert (
        "no copy of the plan that the manifest names can be read; run `blankstream repair`" in err
    )


@pytest.mark.fault
def test_a_tokenizer_of_another_data_set_is_refused(run, built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "d")
    described = json.loads((tmp_path / "d/tokenizer/description.json").read_text())
    config = TokenizerConfig(layout=described["layout"], sentinels=9)
    other = load_tokenizer(tmp_path / "d/tokenizer", config)
    save_tokenizer(other, tmp_path / "d/tokenizer", {})
    _, _, err = run(tmp_path / "d")
    assert "the tokenizer has the digest" in err
    assert "run `blankstream repair` on the data set" in err


def test_a_url_needs_a_cache_unless_it_is_a_folder(run, built: Path) -> None:
    assert run(f"file://{built}") == run(built)
    status, out, err = run("s3://sets/d")
    assert (status, out) == (2, "")
    assert "s3://sets/d: a data set behind a URL is read through a local cache; give a" in err


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
def test_a_row_behind_a_url_is_shown_as_on_a_disk(run, built: Path, tmp_path: Path) -> None:
    shown, page = run(built, "--row", 5), tmp_path / "row.html"
    arguments = (f"s3://sets/{built.name}", "--row", 5, "--cache", tmp_path / "cache")
    with object_server() as server:
        server.put("/sets")
        for path in (path for path in built.rglob("*") if path.is_file()):
            name = path.relative_to(built.parent).as_posix()
            server.put(f"/sets/{name}", path.read_bytes())
        with server.failing(Faults({"error": 0.1, "short": 0.1}, seed=2)):
            assert run(*arguments) == shown
        assert run(*arguments, "--html", page)[0] == 0
    assert "<h1>train row 5</h1>" in page.read_text(encoding="utf-8")
