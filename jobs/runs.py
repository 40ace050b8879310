"""The folder of a run: its configuration, what it was trained on, and its tokenizer.

Made by `run_start.py` before the first step; opened by everything that uses a trained model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from jobs.build_place import is_dataset
from pipeline.dataset import Dataset
from pipeline.stores.local import LocalStore
from schemas.config import Config, digest, load_config, read_toml, to_mapping
from schemas.errors import CorruptDataError, DamagedError, DatasetError, RunError
from schemas.names import PLAN_NAME, TOKENIZER_FOLDER
from schemas.objectives import SpecialTokens
from schemas.plan import Plan
from schemas.sealed import read_sealed, unseal

T = TypeVar("T")

CONFIG_NAME, DATA_NAME = "config.toml", "data.json"


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What a run reads, as `data.json` says it.

    Each of `datasets` has its `path` as given, `weight`, `digest` and `rows`. `tokenizer` and
    `row_format` are those of the manifests. `add_cls` and `add_eos` say how windows are framed.
    `config_digest` is that of the whole configuration in `config.toml`; until that was written too,
    the configuration there has the `previous_config_digest`.
    """

    datasets: tuple[dict[str, Any], ...]
    tokenizer: dict[str, Any]
    row_format: dict[str, Any]
    add_cls: bool
    add_eos: bool
    special: SpecialTokens
    config_digest: str
    previous_config_digest: str = ""

    @classmethod
    def of(cls, mixture: Sequence[tuple[Dataset, float]], config: Config) -> Self:
        """Describe data sets and weights that fit each other.

        `DatasetError` for a name that cannot be written.
        """
        first = mixture[0][0]
        for dataset, _ in mixture:
            _check_name(dataset.name)
        recipe = build_section(first)
        described = [
            {
                "path": dataset.name,
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
        content = {"previous_config_digest": "", **content}
        known = {name: content[name] for name in cls.__dataclass_fields__}
        datasets, special = tuple(content["datasets"]), SpecialTokens(**content["special"])
        return cls(**known | {"datasets": datasets, "special": special})


@dataclass(frozen=True)
class Run:
    """A run that was started: `config` is complete, its vocabulary size included.

    `config_digest` is over the keys in its file, which lacks those of later releases.
    """

    path: Path
    config: Config
    data: RunData
    config_digest: str

    @property
    def tokenizer_folder(self) -> Path:
        """Where the run keeps its copy of the tokenizer."""
        return self.path / TOKENIZER_FOLDER


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{name!a}: the name is not UTF-8, in which {DATA_NAME} names it; give the data set "
            "another name, or a link to it"
        ) from error


def build_section(dataset: Dataset) -> dict[str, Any]:
    """The build section of the recipe of `dataset`; empty where its plan is not kept beside it."""
    try:
        content = dataset.store.read(PLAN_NAME)
    except FileNotFoundError:
        return {}
    place = dataset.store.where(PLAN_NAME)
    recipe = Plan.from_json(content.decode("utf-8", "replace"), place).recipe
    section: dict[str, Any] = recipe.get("build", {})
    return section


def open_run(path: Path) -> Run:
    """The run in the folder `path`.

    Raises `RunError` when there is none, or not with that configuration, and `CorruptDataError`
    when what it says of its data is damaged.
    """
    is_data = is_dataset(LocalStore(path))
    if is_data or not (path / CONFIG_NAME).is_file():
        why = f"has no {CONFIG_NAME}" if path.exists() else "no such folder"
        why = "is a data set" if is_data else why
        raise RunError(f"{path}: {why}; expected a run made by `blankstream train --output {path}`")
    config = load_config(path / CONFIG_NAME)
    remedy = "restore it from a copy, or train into another folder"
    data = read_of_run(path / DATA_NAME, remedy, RunData.from_mapping)
    stated = digest(read_toml(path / CONFIG_NAME))
    if stated not in (data.config_digest, data.previous_config_digest):
        raise RunError(
            f"{path / CONFIG_NAME}: was changed or damaged since the run was started; {remedy}"
        )
    return Run(path, config, data, stated)


def read_of_run(place: Path, remedy: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """What `parse` makes of the sealed file `place` of a run.

    Raises `RunError` when it is missing or of another release, `CorruptDataError` with `remedy`
    when it is damaged.
    """
    try:
        content = read_sealed(place)
    except DatasetError as error:
        raise RunError(f"{error}; restore it from a copy") from error
    try:
        return unseal(content, str(place), remedy, parse)
    except DatasetError as error:
        kind = CorruptDataError if isinstance(error, DamagedError) else RunError
        raise kind(str(error)) from error
