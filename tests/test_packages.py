"""Without a package of an extra: one message that names it and what to run, and never damage."""

import os
import pickle
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jobs.care.inspection import VerifyRequest
from jobs.care.repair import RepairRequest, repair_dataset
from jobs.care.verify import verify_dataset
from jobs.cli import cli, main
from jobs.executors.calls import call_remotely
from jobs.executors.ray_session import check_reachable, import_ray
from pipeline.readers.encodings import encoding_of
from pipeline.tokens import load_tokenizer
from schemas.errors import MissingPackageError
from schemas.packages import EXTRAS, how_to_install, missing_package
from tests.fake_tasks import raise_it
from tests.vocabularies import WRITERS

ROOT = Path(__file__).resolve().parents[1]
NOT_THERE = r"needs the package '{}', which is not installed; run `pip install \"\.\[{}\]\"`"

WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None, absent=sys.argv.pop(1)):
        if name == absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from jobs.cli import main
main()
"""
"""The command, in a process where the package of the first argument is not installed."""


def command_without(package: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, package, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "1000"},
    )


def test_the_extras_are_those_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra, packages in EXTRAS.items():
        listed = project["optional-dependencies"][extra]
        names = [line.partition(">")[0].partition("[")[0].replace("-", "_") for line in listed]
        assert sorted(packages) == sorted(names)
        assert f".[{extra}]" in how_to_install(packages[0])


def test_the_advice_names_every_extra_that_helps_and_where_it_works() -> None:
    both = 'run `pip install ".[build]"` or `pip install ".[train]"` in a checkout of blankstream'
    assert how_to_install("tokenizers") == both
    assert how_to_install("torch") == 'run `pip install ".[train]"` in a checkout of blankstream'


def test_a_package_that_is_there_and_fails_is_not_called_absent() -> None:
    errors = (
        ImportError("libx.so: cannot open"),
        ModuleNotFoundError("No module named 'x'", name="x"),
    )
    for error in errors:
        said = str(missing_package("torch", "this", error))
        assert f"needs the package 'torch', which cannot be imported ({error}); run `pip" in said


@pytest.mark.parametrize(
    ("absent", "extra", "arguments"),
    [
        ("sentencepiece", "build", ["verify", "{built}"]),
        ("sentencepiece", "build", ["verify", "{built}", "--deep"]),
        ("sentencepiece", "build", ["repair", "{built}"]),
        ("sentencepiece", "build", ["inspect", "{built}"]),
        ("sentencepiece", "build", ["merge", "{built}", "{built}/.", "--output", "{tmp}/d"]),
        ("nltk", "build", ["build", "--input", "{corpus}", "--output", "{tmp}/d"]),
        ("torch", "train", ["train", "--data", "{built}", "--output", "{tmp}/r"]),
        ("safetensors", "train", ["fill", "{tmp}", "A [MASK]."]),
        ("torch", "train", ["demo", "--output", "{tmp}/demo"]),
        ("s3fs", "s3", ["status", "s3://bucket/d"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_command_ends_with_the_package_and_its_extra(
    built: Path, corpus: Path, tmp_path: Path, absent: str, extra: str, arguments: list[str]
) -> None:
    places = {"built": built, "corpus": corpus, "tmp": tmp_path}
    ended = command_without(absent, *(one.format(**places) for one in arguments))
    assert ended.returncode == 2, ended.stderr
    error = ended.stderr.splitlines()[-1]
    named = "s3://bucket/d" if absent == "s3fs" else f"needs the package '{absent}', which is not"
    assert error.startswith("error: ")
    assert named in error
    assert f'run `pip install ".[{extra}]"`' in error
    for word in ("damaged", "malformed", "blankstream repair", "Traceback"):
        assert word not in ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["jobs.gone", "torch.gone", "gone", None])
def test_a_mistake_in_imports_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    def fail(**_: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(ModuleNotFoundError, match=str(name)):
        main()


def test_the_version_of_a_package_that_is_not_there_is_a_message_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.metadata import PackageNotFoundError

    def fail(**_: object) -> None:
        raise PackageNotFoundError("charset-normalizer")

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "needs the package 'charset-normalizer', which is not" in capsys.readouterr().err


def test_verify_raises_it_and_lists_no_damage(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingPackageError, match=NOT_THERE.format("sentencepiece", "build")):
        verify_dataset(VerifyRequest(built), lambda size: None)


def test_a_repair_that_needs_it_does_not_blame_the_inputs(
    built: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(built, tmp_path / "d")
    (copy / "tokenizer" / "description.json").write_bytes(b"{}")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingPackageError, match=NOT_THERE.format("sentencepiece", "build")):
        repair_dataset(RepairRequest(copy, (str(corpus),), workers=1), lambda size: None)


@pytest.mark.parametrize("name", ["bpe", "wordpiece", "words"])
def test_opening_a_vocabulary_raises_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    WRITERS[name](tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingPackageError, match=NOT_THERE.format("tokenizers", "build")):
        load_tokenizer(tmp_path)


def test_detecting_an_encoding_raises_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    message = NOT_THERE.format("charset_normalizer", "build") + ".*, or name the encoding$"
    with pytest.raises(MissingPackageError, match=message):
        encoding_of(b"seen nowhere else: \xe9t\xe9 ", "auto")


def test_ray_raises_it_before_a_cluster_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    message = NOT_THERE.format("ray", "build") + ".*, or use --executor processes$"
    with pytest.raises(MissingPackageError, match=message):
        import_ray({})
    with pytest.raises(MissingPackageError, match=message):
        check_reachable("auto")


def test_it_comes_back_from_a_worker_as_itself() -> None:
    error = missing_package("ray", "this", ModuleNotFoundError("ray", name="ray"))
    afar = call_remotely(raise_it, error).error
    again = pickle.loads(pickle.dumps(afar))
    assert (type(again), str(again)) == (MissingPackageError, str(error))
