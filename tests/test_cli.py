"""The command: what a person types, what they see, and which exit status a script gets."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from jobs.cli import main
from pipeline.stores.local import LocalStore
from schemas.objectives import MASK_TOKENS
from tests.corpus import file_hashes, the_file
from tests.datasets import flip

TINY = [
    "build.item_bytes=16384",
    "build.heldout_ratio=0.2",
    "build.window_tokens=64",
    "build.row_tokens=160",
    "build.tokenizer.vocab_size=500",
]
TRAIN = [
    "model.num_layers=1",
    "model.hidden_size=32",
    "train.batch_rows=4",
    "train.max_steps=4",
    "train.checkpoint_every_steps=2",
]

BUILD = ["build", "--input", "/missing", "--output", "{tmp}/d"]


class Ran:
    """Exit status and output of one command."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["blankstream", *map(str, arguments)])
        status: object = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return Ran(int(str(status)), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """A folder with a data set and a run made from it by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    data, output = str(folder / "data"), str(folder / "run")
    for arguments in (
        ["build", "--input", str(corpus), "--output", data, "--executor", "serial", *TINY],
        ["train", "--data", data, "--output", output, *TRAIN],
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["blankstream", *arguments])
            main()
    return folder


def test_text_becomes_a_filled_blank(run, trained: Path) -> None:
    filled = run("fill", trained / "run", "The [MASK] statement ends a [sMASK] loop.")
    assert filled.status == 0
    first, *answers = filled.out.splitlines()
    assert first.startswith("The ")
    assert not any(mask in first for mask in MASK_TOKENS.values())
    assert [line[:9] for line in answers] == ["  blank 1", "  blank 2"]
    sampled = [
        run("fill", trained / "run", "A [MASK].", "--temperature", "1", "--seed", seed).out
        for seed in (1, 1, 2, 3)
    ]
    assert sampled[0] == sampled[1]
    assert len(set(sampled)) > 1


def test_a_finished_run_resumed_has_nothing_to_do(run, trained: Path) -> None:
    before = file_hashes(trained / "run")
    again = run(
        "train", "--data", trained / "data", "--output", trained / "run", "--resume", "auto", *TRAIN
    )
    assert again.status == 0
    assert "finished before, at step 4; nothing to do" in again.out
    assert file_hashes(trained / "run") == before


def test_inspect_shows_every_sample_of_a_row(run, trained: Path) -> None:
    shown = run("inspect", trained / "data", "--row", 1)
    assert shown.status == 0
    assert "sample 0: " in shown.out
    assert "document " in shown.out
    assert "block position" in shown.out
    assert any(mask in shown.out for mask in MASK_TOKENS.values())


def test_verify_passes_an_intact_data_set(run, trained: Path) -> None:
    verified = run("verify", trained / "data")
    assert verified.status == 0
    assert "all intact" in verified.out


@pytest.mark.fault
@pytest.mark.parametrize(
    "name",
    [
        "shards/train/pass-0000/00000/00000000-00000-*.arrow",
        "shards-*.arrow",
        "plan/????????????????.json",
        "records/pass-0000/00000/00000000-*.documents.arrow",
    ],
)
def test_verify_names_the_file_with_a_flipped_bit(
    run, trained: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(trained / "data", tmp_path / "d")
    name = the_file(tmp_path / "d", name).relative_to(tmp_path / "d").as_posix()
    content = bytearray((tmp_path / "d" / name).read_bytes())
    content[len(content) // 2] ^= 4
    (tmp_path / "d" / name).write_bytes(content)
    verified = run("verify", tmp_path / "d")
    assert verified.status == 1
    assert f"damaged: {tmp_path / 'd'}/{name}" in verified.out.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "build.sed=1"], "unknown key 'sed'; did you mean 'seed'?"),
        (["build"], "build needs --input PATH and --output DATASET"),
        (["build", "--preset", "huge"], "preset 'huge' is unknown; choose from"),
        (["build", "--input", "/missing", "--output", "{tmp}/d"], "/missing: no such file"),
        (["build", "--input", "{tmp}", "--output", "{tmp}/d"], "no input files in"),
        (["train"], "train needs --data DATASET and --output RUN"),
        (["train", "--data", "{tmp}", "--output", "{tmp}/r"], "neither manifest.json nor plan"),
        (["train", "--data", "/missing", "--output", "{tmp}/r"], "/missing: no such folder"),
        (["train", "--data", "{tmp}=x", "--output", "{tmp}/r"], "weight 'x' is no number"),
        (["train", "--output", "s3://b/r"], "s3://b/r is a URL, expected a local path"),
        (["train", "--cache", "s3://b/c"], "s3://b/c is a URL, expected a local path"),
        (["inspect", "{tmp}", "--html", "s3://b/x.html"], "is a URL, expected a local path"),
        (["demo", "--output", "s3://b/d"], "s3://b/d is a URL, expected a local path"),
        (["trace", "s3://b/r", "--step", "1"], "s3://b/r is a URL, expected a local path"),
        (["fill", "{tmp}", "A [MASK]."], "has no config.toml; expected a run"),
        (["fill", "{tmp}", "No blank."], "no blank in the text 'No blank.'"),
        (["inspect", "{tmp}"], "neither manifest.json nor plan"),
        (["verify", "{tmp}"], "neither manifest.json nor plan"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["build", "--workers", "0"], "Invalid value for '--workers'"),
        ([*BUILD, "--executor", "serial", "--address", "a:1"], "--address is for --executor ray"),
        ([*BUILD, "--executor", "processes", "--dashboard"], "--dashboard is for --executor ray"),
        ([*BUILD, "--executor", "ray", "--address", "a:1", "--dashboard"], "a Ray of our own"),
        ([*BUILD[:4], "memory://x"], "memory://x: is in the memory of one process"),
        (["merge", "a", "b", "--output", "c", "build.passes=2"], "takes card.KEY=VALUE only"),
        (["merge", "a", "b", "--output", "memory://x"], "memory://x: is in the memory"),
        (["merge", "a", "b", "--output", "/dev/null"], "/dev/null: is a file; give a folder"),
        (["verify", "{tmp}", "--share", "0.5"], "--input and --share are for --deep"),
        (["verify", "{tmp}", "--input", "x"], "--input and --share are for --deep"),
        (["verify", "{tmp}", "--deep", "--share", "nan"], "nan is not a number"),
        (["verify", "{tmp}", "--deep", "--input", "{tmp}/"], "is the data set; give what it was"),
        (["fill", "{tmp}", "A [MASK].", "--top-p", "nan"], "nan is not a number"),
    ],
)
def test_a_mistake_gives_one_message_status_2_and_nothing_half_written(
    run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    failed = run(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert failed.status == 2
    assert message in " ".join(failed.err.split())
    assert "Traceback" not in failed.err
    assert not failed.out
    assert list(tmp_path.iterdir()) == []


def test_mistakes_with_a_trained_run_have_status_2(run, trained: Path) -> None:
    for arguments, message in (
        (["fill", trained / "run", "The [MSAK] is no mask."], "'[MSAK]' at character 4 is no mask"),
        (["fill", trained / "run", "word " * 400 + "[MASK]"], "the model has positions for 257"),
        (["inspect", trained / "data", "--row", "99999"], "row 99999 of train does not exist"),
        (["train", "--data", trained / "data", "--output", trained / "run", *TRAIN], "--resume"),
        (
            ["train", "--data", trained / "data", "--output", trained / "run", "--resume", "auto"],
            "train.max_steps: 4 -> ",
        ),
    ):
        failed = run(*arguments)
        assert failed.status == 2, arguments
        assert message in " ".join(failed.err.split())


@pytest.mark.fault
def test_a_growth_that_fails_leaves_the_finished_data_set_and_can_be_left_out(
    run, trained: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "d")
    line = {"id": "twice", "text": "A text that is long enough to be a document. " * 5}
    (tmp_path / "twice.jsonl").write_text(f"{json.dumps(line)}\n" * 2)
    (tmp_path / "empty.jsonl").touch()
    command = ["build", "--output", tmp_path / "d", "--executor", "serial", *TINY]
    manifest = (tmp_path / "d/manifest.json").read_bytes()
    failed = run(*command, "--input", corpus, "--input", tmp_path / "twice.jsonl")
    told = " ".join(failed.err.split())
    assert failed.status == 2
    assert "document id 'twice' occurs twice" in told
    assert "leaving the input out of --input is enough: the data set stays as it was" in told
    assert "delete" not in told
    assert (tmp_path / "d/manifest.json").read_bytes() == manifest
    again = run(*command, "--input", corpus)
    assert again.status == 0, again.err
    assert (tmp_path / "d/manifest.json").read_bytes() == manifest
    ratio = "build.max_bad_ratio=0.5"
    grown = run(*command, "--input", corpus, "--input", tmp_path / "empty.jsonl", ratio)
    assert grown.status == 0, grown.err
    counts = json.loads((tmp_path / "d/manifest.json").read_text())["counts"]
    assert counts["bad.empty_file"] == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    "name",
    [
        "plan.json",
        "plan/????????????????.json",
        "plan/slices-*.arrow",
        "plan/inputs-*.arrow",
        "tokenizer/tokenizer.model",
        "tokenizer/description.json",
        "splitter.json",
    ],
)
def test_damage_of_plan_and_tools_is_mended_by_the_repair_that_the_message_names(
    run, trained: Path, corpus: Path, tmp_path: Path, name: str
) -> None:
    data = tmp_path / "d"
    shutil.copytree(trained / "data", data)
    before = file_hashes(data)
    path = the_file(data, name)
    command = ["build", "--input", corpus, "--output", data, "--executor", "serial", *TINY]
    remedy = "run `blankstream repair` on the data set"
    for is_missing in (False, True):
        if is_missing:
            path.unlink()
        else:
            flip(path, path.stat().st_size // 2)
        told = run(*command)
        assert told.status == 1
        assert is_missing or remedy in " ".join(told.err.split())
        if name == "plan.json":
            shown = run("status", data)
            assert remedy in " ".join((shown.out + shown.err).split())
        repaired = run("repair", data, "--input", corpus)
        assert repaired.status == 0, repaired.err
        assert "1 file written, 0 items built again" in repaired.out
        assert {one: file_hashes(data)[one] for one in before} == before


@pytest.mark.fault
def test_a_finished_data_set_without_plan_is_damaged_and_says_so(
    run, trained: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "d")
    (tmp_path / "d/plan.json").unlink()
    told = run("build", "--input", corpus, "--output", tmp_path / "d", *TINY)
    assert told.status == 1
    assert "plan.json: missing beside manifest.json; run" in " ".join(told.err.split())
    shown = json.loads(run("status", tmp_path / "d", "--json").out)
    problem = "plan.json is missing; run `blankstream repair` on the data set"
    assert (shown["state"], shown["problem"]) == ("finished", problem)


@pytest.mark.fault
def test_a_data_set_whose_tokenizer_is_gone_is_repaired(
    run, trained: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "d")
    shutil.rmtree(tmp_path / "d/tokenizer")
    told = run("build", "--input", corpus, "--output", tmp_path / "d", *TINY)
    assert "d/tokenizer: missing; run `blankstream repair`" in " ".join(told.err.split())
    assert run("repair", tmp_path / "d", "--input", corpus).status == 0
    assert "all intact" in run("verify", tmp_path / "d").out


@pytest.mark.fault
def test_nothing_is_made_inside_a_data_set(run, trained: Path, corpus: Path) -> None:
    data = trained / "data"
    before = file_hashes(data)
    for command in (["build", "--input", corpus], ["build", "--dry-run", "--input", corpus]):
        told = run(*command, "--output", data / "sub", *TINY)
        assert told.status == 2
        assert f"is inside the data set {data}" in "".join(told.err.split("\n"))
    told = run("merge", data, data, "--output", data / "sub")
    assert told.status == 2
    assert f"is inside the data set {data}" in "".join(told.err.split("\n"))
    assert file_hashes(data) == before


@pytest.mark.fault
def test_a_full_disk_is_explained_by_repair_and_merge(
    run, trained: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    shutil.copytree(trained / "data", tmp_path / "d")
    other = tmp_path / "other.jsonl"
    text = "Another text, a short one but long enough to be read. " * 30
    lines = [json.dumps({"id": f"other{number}", "text": text}) for number in range(12)]
    other.write_text("\n".join(lines))
    same = f"build.tokenizer.path={tmp_path}/d/tokenizer"
    tools = [same, f"build.splitter={tmp_path}/d/splitter.json"]
    command = ["build", "--executor", "serial", *TINY, *tools]
    for text, place in ((corpus, "a"), (other, "b")):
        built = run(*command, "--input", text, "--output", tmp_path / place)
        assert built.status == 0, built.err
    (tmp_path / "d/plan.json").unlink()
    monkeypatch.setattr(LocalStore, "replace", full)
    for arguments in (
        ["repair", tmp_path / "d"],
        ["merge", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "c"],
    ):
        told = run(*arguments)
        assert told.status == 1
        assert "cannot be written (No space left on device)" in " ".join(told.err.split())
        assert "free space on that disk" in " ".join(told.err.split())


def test_print_config_shows_the_result_and_writes_nothing(run) -> None:
    shown = run("build", "--print-config", "build.seed=77")
    assert shown.status == 0
    assert "seed = 77" in shown.out
    assert "[build.objective.blank]" in shown.out


def test_paths_behind_input_are_inputs_too(run, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"Text of {name}, a short one but long enough. " * 30)
    files = sorted(tmp_path.glob("*.txt"))
    built = run(
        "build",
        "--input",
        *files,
        "--output",
        tmp_path / "d",
        "--executor",
        "serial",
        "build.tokenizer.vocab_size=400",
        "build.heldout_ratio=0",
    )
    assert built.status == 0, built.err
    assert "from 2 documents" in built.out


def test_the_version_is_that_of_the_distribution(run) -> None:
    from importlib.metadata import version

    assert run("--version").out.strip().endswith(version("blankstream"))


def test_inspect_shows_a_masked_language_model_sample(run, tmp_path: Path, corpus: Path) -> None:
    data = tmp_path / "d"
    only = ["build.objective.blank.kind=masked_lm", "build.objective.document.share=0"]
    only += ["build.objective.sentence.share=0", *TINY]
    assert (
        run("build", "--input", corpus, "--output", data, "--executor", "serial", *only).status == 0
    )
    shown = run("inspect", data)
    assert shown.status == 0, shown.err
    assert "blank" in shown.out
    assert "[MASK]" in shown.out


@pytest.mark.fault
def test_what_a_message_says_mends_a_damaged_shard(run, tmp_path: Path, corpus: Path) -> None:
    data = tmp_path / "d"
    command = ["build", "--input", corpus, "--output", data, "--executor", "serial", *TINY]
    assert run(*command).status == 0
    before = file_hashes(data)
    for pattern in (
        "shards/train/pass-0000/00000/00000001-00000-*.arrow",
        "manifest.json",
        "shards-*.arrow",
        "records/pass-0000/00000/00000000-????????????????.json",
        "records/pass-0000/00000/00000001-*.documents.arrow",
    ):
        path = the_file(data, pattern)
        flip(path, path.stat().st_size // 3)
        told = run("verify", data)
        assert told.status in (1, 2)
        assert "blankstream repair" in " ".join((told.out + told.err).split())
        repaired = run("repair", data, "--input", corpus)
        assert repaired.status == 0, repaired.err
        assert file_hashes(data) == before, pattern
    assert "nothing to repair" in run("repair", data).out


@pytest.mark.fault
@pytest.mark.parametrize("name", ["tokenizer/tokenizer.model", "splitter.json"])
def test_verify_reads_tokenizer_and_splitter(run, trained: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(trained / "data", tmp_path / "d")
    (tmp_path / "d" / name).write_bytes(b"{}")
    told = run("verify", tmp_path / "d")
    assert told.status == 1
    assert Path(name).name.split(".")[0] in told.out


@pytest.mark.fault
def test_a_run_whose_configuration_was_changed_is_refused(
    run, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "run", tmp_path / "r")
    config = tmp_path / "r" / "config.toml"
    config.write_text(
        config.read_text().replace("num_attention_heads = 4", "num_attention_heads = 2")
    )
    told = run("fill", tmp_path / "r", "A [MASK].")
    assert told.status == 2
    assert "config.toml: was changed or damaged since the run was started" in " ".join(
        told.err.split()
    )


@pytest.mark.parametrize(
    ("output", "message"),
    [("x.txt/d", "is a file; give another --output"), ("n" * 300, "cannot be")],
)
def test_an_output_that_cannot_be_made_is_refused_at_once(
    run, tmp_path: Path, corpus: Path, output: str, message: str
) -> None:
    (tmp_path / "x.txt").write_text("x")
    told = run("build", "--input", corpus, "--output", tmp_path / output)
    assert told.status == 2
    assert message in " ".join(told.err.split())
    assert len(list(tmp_path.iterdir())) == 1
