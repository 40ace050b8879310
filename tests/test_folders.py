"""Folders and globs: links are followed and end, and nothing is left out without a reason."""

import os
import re
import socket
from pathlib import Path

import pytest

from pipeline.inputs import Inputs, find_inputs
from schemas.errors import InputError
from schemas.sealed import seal

OUTPUT = Path("nowhere")


def put(folder: Path, names: str, content: str = '{"text": "x"}\n') -> None:
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def put_dataset(folder: Path) -> None:
    put(folder, "plan.json quarantine/0.jsonl")
    put(folder, "manifest.json", seal({"row_format": {}}))


PLACES = pytest.mark.parametrize(
    "place", ["data", "data/*", "data/**", "data/**/*", "dat?/**/**/*"]
)


def names_below(tmp_path: Path, place: str, output: Path = OUTPUT) -> Inputs:
    """Inputs of a place below `tmp_path`, called by their names below `data`."""
    found = find_inputs([f"{tmp_path}/{place}"], output)
    return Inputs(
        {name.removeprefix("data/"): file for name, file in found.files.items()},
        tuple((name.removeprefix("data/"), reason) for name, reason in found.skipped),
    )


@PLACES
def test_links_are_followed_and_what_is_no_file_is_listed(tmp_path: Path, place: str) -> None:
    put(tmp_path, "data/a.jsonl real/b.jsonl real/deep/c.jsonl")
    data = tmp_path / "data"
    (data / "part").symlink_to("../real")
    (data / "again.jsonl").symlink_to("../real/b.jsonl")
    (data / "gone.jsonl").symlink_to("nothing")
    (data / "self.jsonl").symlink_to("self.jsonl")
    os.mkfifo(data / "p.jsonl")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(data / "s.jsonl"))
    inputs = names_below(tmp_path, place)
    assert list(inputs.files) == ["a.jsonl", "again.jsonl", "part/b.jsonl", "part/deep/c.jsonl"]
    assert inputs.skipped == (
        ("gone.jsonl", "a dangling link"),
        ("p.jsonl", "a FIFO"),
        ("s.jsonl", "a socket"),
        ("self.jsonl", "a dangling link"),
    )


@PLACES
def test_a_link_loop_gives_every_file_once(tmp_path: Path, place: str) -> None:
    put(tmp_path, "data/a.jsonl data/b/c.jsonl")
    (tmp_path / "data" / "loop").symlink_to(".")
    (tmp_path / "data" / "b" / "up").symlink_to("..")
    inputs = names_below(tmp_path, place)
    assert list(inputs.files) == ["a.jsonl", "b/c.jsonl"]
    assert inputs.skipped == tuple(
        (name, "a link to a folder above it") for name in ("b/up", "loop")
    )


@PLACES
def test_a_finished_data_set_is_no_input(tmp_path: Path, place: str) -> None:
    put(tmp_path, "data/a.jsonl data/theirs/manifest.json data/theirs/plan.json")
    put_dataset(tmp_path / "data" / "old")
    put_dataset(tmp_path / "data" / "new")
    inputs = names_below(tmp_path, place, tmp_path / "data" / "new")
    assert list(inputs.files) == ["a.jsonl", "theirs/manifest.json", "theirs/plan.json"]
    assert inputs.skipped == (("old", "a data set"),)
    with pytest.raises(InputError, match=r"no input files in .*not read: 1 a data set \(.*old\)"):
        find_inputs([tmp_path / "data" / "old"], OUTPUT)


@PLACES
def test_links_into_the_output_are_listed(tmp_path: Path, place: str) -> None:
    put(tmp_path, "data/a.jsonl out/quarantine/0.jsonl")
    (tmp_path / "data" / "file.jsonl").symlink_to("../out/quarantine/0.jsonl")
    (tmp_path / "data" / "folder").symlink_to("../out/quarantine")
    inputs = names_below(tmp_path, place, tmp_path / "out")
    assert list(inputs.files) == ["a.jsonl"]
    assert [reason for _, reason in inputs.skipped] == ["a link into --output"] * 2


@pytest.mark.parametrize("place", ["d/x.jsonl", "d/deep", "d/deep/*"])
def test_an_input_inside_the_output_is_refused(tmp_path: Path, place: str) -> None:
    put(tmp_path, "d/x.jsonl d/deep/y.jsonl")
    message = f"{tmp_path / 'd'}.*: lies inside --output {tmp_path / 'd'}; give another folder"
    with pytest.raises(InputError, match=message):
        find_inputs([f"{tmp_path}/{place}"], tmp_path / "d")


@pytest.mark.parametrize("place", ["d/x.jsonl", "d", "d/*"])
def test_an_output_that_is_the_input_is_refused(tmp_path: Path, place: str) -> None:
    put(tmp_path, "d/x.jsonl")
    output = tmp_path / place.removesuffix("/*")
    with pytest.raises(InputError, match="is both --input and --output; give another folder"):
        find_inputs([f"{tmp_path}/{place}"], output)


@pytest.mark.parametrize("place", ["", "file://"])
def test_an_empty_input_is_refused(place: str) -> None:
    with pytest.raises(InputError, match="--input is empty; give a file, a folder, a glob"):
        find_inputs([place], OUTPUT)


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    put(tmp_path, "data/a.jsonl")
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"data: cannot be read \(Permission denied\); check its"):
        find_inputs([tmp_path / "data"], OUTPUT)


def test_skipped_names_are_grouped_by_their_reason(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl a.pdf b.pdf c.pdf d.pdf e/x\u202ey.png")
    (tmp_path / "gone").symlink_to("nothing")
    assert find_inputs([tmp_path], OUTPUT).skipped_by_reason() == (
        "5 of no known format (a.pdf, b.pdf, c.pdf, ...); 1 a dangling link (gone)"
    )
    found = find_inputs([tmp_path / "e/../a.jsonl", tmp_path / "e/*", tmp_path / "*.jsonl"], OUTPUT)
    assert re.fullmatch(r"1 of no known format \('x\\u202ey.png'\)", found.skipped_by_reason())
