"""The folder of a run: its configuration, what it was trained on, and its tokenizer.

Made by `train.py` before the first step; opened by everything that uses a trained model.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from jobs.metrics import METRICS_NAME
from jobs.run_checkpoints import (
    CHECKPOINTS_FOLDER,
    Checkpoint,
    delete_leftovers,
    latest_checkpoint,
)
from pipeline.dataset import Dataset
from schemas.config import Config, differing_keys, digest, load_config, to_mapping, to_toml
from schemas.errors import DatasetError, RunError
from schemas.names import PLAN_NAME, TOKENIZER_FOLDER
from schemas.objectives import SpecialTokens
from schemas.plan import Plan
from schemas.sealed import read_sealed, seal, unseal
from schemas.storage import TEMPORARY_MARK, commit_bytes, commit_text

CONFIG_NAME, DATA_NAME = "config.toml", "data.json"

_RUN_NAMES = {CONFIG_NAME, DATA_NAME, TOKENIZER_FOLDER, CHECKPOINTS_FOLDER, METRICS_NAME}


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What a run reads, as `data.json` says it.

    Each of `datasets` has its `path` as given, `weight`, `digest` and `rows`. `tokenizer` and
    `row_format` are those of the manifests. `add_cls` and `add_eos` say how windows are framed.
    `config_digest` is that of the whole configuration in `config.toml`.
    """

    datasets: tuple[dict[str, Any], ...]
    tokenizer: dict[str, Any]
    row_format: dict[str, Any]
    add_cls: bool
    add_eos: bool
    special: SpecialTokens
    config_digest: str

    @classmethod
    def of(cls, mixture: Sequence[tuple[Dataset, float]], config: Config) -> Self:
        """Describe data sets and weights that fit each other."""
        first = mixture[0][0]
        recipe = build_section(first)
        described = [
            {
                "path": str(dataset.path),
                "weight": weight,
                "digest": dataset.digest,
                "rows": dataset.manifest.rows,
            }
            for dataset, weight in mixture
        ]
        return cls(
            datasets=tuple(described),
            tokenizer=first.manifest.tokenizer,
            row_format=first.row_format.to_mapping(),
            add_cls=bool(recipe.get("add_cls", True)),
            add_eos=bool(recipe.get("add_eos", True)),
            special=SpecialTokens.from_mapping(first.manifest.tokenizer["special"]),
            config_digest=digest(to_mapping(config)),
        )

    @classmethod
    def from_mapping(cls, content: dict[str, Any]) -> Self:
        """Inverse of `asdict` after a trip through JSON."""
        known = {name: content[name] for name in cls.__dataclass_fields__}
        datasets, special = tuple(content["datasets"]), SpecialTokens(**content["special"])
        return cls(**known | {"datasets": datasets, "special": special})


@dataclass(frozen=True)
class Run:
    """A run that was started: `config` is complete, its vocabulary size included."""

    path: Path
    config: Config
    data: RunData

    @property
    def tokenizer_folder(self) -> Path:
        """Where the run keeps its copy of the tokenizer."""
        return self.path / TOKENIZER_FOLDER


def build_section(dataset: Dataset) -> dict[str, Any]:
    """The build section of the recipe of `dataset`; empty where its plan is not kept beside it."""
    path = dataset.path / PLAN_NAME
    if not path.is_file():
        return {}
    recipe = Plan.from_json(read_sealed(path), str(path)).recipe
    section: dict[str, Any] = recipe.get("build", {})
    return section


def open_run(path: Path) -> Run:
    """The run in the folder `path`; `RunError` when there is none."""
    if not (path / CONFIG_NAME).is_file():
        why = f"has no {CONFIG_NAME}" if path.exists() else "no such folder"
        raise RunError(f"{path}: {why}; expected a run made by `blankstream train --output {path}`")
    config = load_config(path / CONFIG_NAME)
    place = path / DATA_NAME
    remedy = "restore it from a copy, or train into another folder"
    try:
        data = unseal(read_sealed(place), str(place), remedy, RunData.from_mapping)
    except DatasetError as error:
        raise RunError(str(error)) from error
    if data.config_digest != digest(to_mapping(config)):
        raise RunError(
            f"{path / CONFIG_NAME}: was changed or damaged since the run was started; {remedy}"
        )
    return Run(path, config, data)


def prepare_run(
    path: Path, config: Config, mixture: Sequence[tuple[Dataset, float]], resume: bool
) -> Checkpoint | None:
    """Make the run's folder, or find the checkpoint to go on from; None: begin at step 0.

    Raises `RunError` before anything is written: for a folder that holds something else or, without
    `resume`, checkpoints, and for a run to be resumed with another model or train section.
    """
    _check_folder(path)
    checkpoint = latest_checkpoint(path)
    if checkpoint is not None:
        _check_resumable(path, config, checkpoint, resume)
        delete_leftovers(path)
        return checkpoint
    tokenizer = _tokenizer_files(mixture[0][0])
    commit_text(path / DATA_NAME, seal(asdict(RunData.of(mixture, config))))
    for name, content in tokenizer.items():
        commit_bytes(path / TOKENIZER_FOLDER / name, content)
    commit_text(path / CONFIG_NAME, to_toml(to_mapping(config)) + "\n")
    delete_leftovers(path)
    return None


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file; give a folder as --output")
    found = {file.name.split(TEMPORARY_MARK)[0] for file in path.iterdir()} if path.exists() else ()
    others = sorted(set(found) - _RUN_NAMES)
    if others and not (path / CONFIG_NAME).exists():
        raise RunError(
            f"{path}: holds no run but other files ({others[0]}, ...); "
            "give a new or empty folder as --output"
        )


def _check_resumable(path: Path, config: Config, checkpoint: Checkpoint, resume: bool) -> None:
    if not resume:
        raise RunError(
            f"{path}: this run has a checkpoint of step {checkpoint.step}; go on with "
            "--resume auto, or give another folder as --output"
        )
    old, new = to_mapping(open_run(path).config), to_mapping(config)
    differences = [
        line
        for section in ("model", "train")
        for line in differing_keys(old[section], new[section], section)
    ]
    if differences:
        raise RunError(
            f"{path}: was started with another configuration. Differing keys:\n  "
            + "\n  ".join(differences)
            + "\nResume with the configuration it was started with, or train into another folder"
        )


def _tokenizer_files(dataset: Dataset) -> dict[str, bytes]:
    folder = dataset.path / TOKENIZER_FOLDER
    files = sorted(path for path in folder.glob("*") if TEMPORARY_MARK not in path.name)
    if not files:
        raise DatasetError(
            f"{folder}: no tokenizer, so the run could not be used later; restore the folder or "
            "run the same `blankstream build` again"
        )
    return {path.name: path.read_bytes() for path in files}
