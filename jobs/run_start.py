"""Beginning a run or going on with it: what is checked before the first step, and written.

Stands between the request of `train.py` and the folder of the run (`runs.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jobs.build_place import dataset_around
from jobs.losses_file import LOSSES_FOLDER
from jobs.metrics import METRICS_NAME
from jobs.run_checkpoints import (
    CHECKPOINTS_FOLDER,
    Checkpoint,
    delete_leftovers,
    latest_checkpoint,
)
from jobs.runs import CONFIG_NAME, DATA_NAME, Run, RunData, open_run
from jobs.stream_record import STREAM_NAME
from pipeline.dataset import Dataset
from pipeline.orders.continued import differences
from pipeline.orders.segments import read_state
from pipeline.stores.local import LocalStore
from pipeline.versions import Lineage
from schemas.config import Config, differing_keys, to_mapping, to_toml
from schemas.errors import DatasetError, RunError
from schemas.json_text import fields_of
from schemas.manifest import TRAIN
from schemas.names import TOKENIZER_FOLDER
from schemas.sealed import seal
from schemas.storage import TEMPORARY_MARK, commit_bytes, commit_text

_RUN_NAMES = {
    CONFIG_NAME,
    DATA_NAME,
    STREAM_NAME,
    TOKENIZER_FOLDER,
    CHECKPOINTS_FOLDER,
    LOSSES_FOLDER,
    METRICS_NAME,
}

_FREE_KEYS = {"train.record_losses"}
"""Keys that change nothing of what is learnt."""

_DATA_KEYS = {
    f"train.{name}" for name in ("seed", "batch_rows", "micro_batch_rows", "order", "window_shards")
}
"""Keys that decide which rows a step takes, and in what parts it goes through them."""

_NOTHING_LEFT = ". The run is finished: there is no step left to change"

Mixture = Sequence[tuple[Dataset, float]]


def find_start(
    path: Path, config: Config, mixture: Mixture, resume: bool, change_data: bool = False
) -> Checkpoint | None:
    """The checkpoint that a run in the folder `path` goes on from; None: it begins at step 0.

    Writes nothing. Raises `RunError` for a folder that holds something else or, without `resume`,
    checkpoints, and for a run to be resumed with another model or train section, or with rows of
    another kind. With `change_data` seed, batch size and order may differ, unless it is finished.
    """
    _check_folder(path)
    checkpoint = latest_checkpoint(path)
    if checkpoint is None:
        return None
    if not resume:
        raise RunError(
            f"{path}: this run has a checkpoint of step {checkpoint.step}; go on with "
            "--resume auto, or give another folder as --output"
        )
    run = open_run(path)
    is_finished = checkpoint.step >= run.config.train.max_steps
    _check_configuration(run, config, change_data, is_finished)
    _check_rows(run, mixture, config)
    return checkpoint


def check_nothing_changes(path: Path, checkpoint: Checkpoint, mixture: Mixture) -> None:
    """`RunError` where the finished run `path` is given other data sets or weights than those it
    ended with at `checkpoint`. A data set that has grown since then is the same one.
    """
    ended = read_state(checkpoint.stream)[1][-1]
    weights = {dataset.digest: weight for dataset, weight in mixture}
    lineages = [Lineage(dataset, TRAIN) for dataset, _ in mixture]
    today = {
        digest: one.dataset.digest
        for digest in ended.datasets.keys() - weights.keys()
        for one in lineages
        if one.has_been(digest)
    }
    before = {today.get(digest, digest): weight for digest, weight in ended.datasets.items()}
    old, new = (replace(ended, datasets=dict(sorted(one.items()))) for one in (before, weights))
    found = "; ".join(differences(old, new, {}))
    if found:
        raise RunError(
            f"{path}: was trained to step {checkpoint.step} on another mixture: {found}. Give the "
            f"data sets and weights it ended with, or train into another folder{_NOTHING_LEFT}"
        )


def begin_run(path: Path, config: Config, mixture: Mixture) -> None:
    """Make the folder of a run that begins at step 0, over what one without a checkpoint left.

    Raises `DatasetError`, before anything is written, for a data set without a tokenizer.
    """
    tokenizer = _tokenizer_files(mixture[0][0])
    commit_text(path / DATA_NAME, seal(fields_of(RunData.of(mixture, config))))
    for name, content in tokenizer.items():
        commit_bytes(path / TOKENIZER_FOLDER / name, content)
    commit_text(path / CONFIG_NAME, to_toml(to_mapping(config)) + "\n")
    delete_leftovers(path)


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file; give a folder as --output")
    if dataset := dataset_around(LocalStore(path)):
        raise RunError(
            f"{path}: is in the data set {dataset.place}, which keeps only its own files; give "
            "another folder as --output"
        )
    found = {file.name.split(TEMPORARY_MARK)[0] for file in path.iterdir()} if path.exists() else ()
    others = sorted(set(found) - _RUN_NAMES)
    if others and not all((path / name).exists() for name in (CONFIG_NAME, DATA_NAME)):
        raise RunError(
            f"{path}: holds no run but other files ({others[0]}, ...); "
            "give a new or empty folder as --output"
        )


def _check_configuration(run: Run, config: Config, change_data: bool, is_finished: bool) -> None:
    free = _FREE_KEYS | (_DATA_KEYS if change_data and not is_finished else set())
    old, new = to_mapping(run.config), to_mapping(config)
    differences = [
        line
        for section in ("model", "train")
        for line in differing_keys(old[section], new[section], section)
        if line.partition(":")[0] not in free
    ]
    if differences:
        data = [line for line in differences if line.partition(":")[0] in _DATA_KEYS]
        hint = ". Seed, batch size and order may differ with --change-data" if data else ""
        if is_finished:
            hint = _NOTHING_LEFT
        raise RunError(
            f"{run.path}: was started with another configuration. Differing keys:\n  "
            + "\n  ".join(differences)
            + "\nResume with the configuration it was started with, or train into another folder"
            + hint
        )


def _check_rows(run: Run, mixture: Mixture, config: Config) -> None:
    rows = list(_row_differences(run.data, RunData.of(mixture, config)))
    if rows:
        raise RunError(
            f"{run.path}: was started with rows of another kind. Differing:\n  "
            + "\n  ".join(rows)
            + "\nGive data sets that were built alike, or train into another folder"
        )


def _row_differences(old: RunData, new: RunData) -> Iterator[str]:
    for name in ("tokenizer", "row_format"):
        yield from differing_keys(getattr(old, name), getattr(new, name), name)


def renew_run(path: Path, config: Config, mixture: Mixture) -> None:
    """Make `data.json` and `config.toml` say what a run that goes on reads, and is trained with.

    A crash in between leaves a run that can be opened.
    """
    delete_leftovers(path)
    run = open_run(path)
    new = replace(run.config, train=config.train)
    previous = run.config_digest
    data = replace(RunData.of(mixture, new), previous_config_digest=previous)
    # Compared as they are on disk, where a tuple is a list.
    if seal(fields_of(data)) != seal(fields_of(run.data) | {"previous_config_digest": previous}):
        commit_text(path / DATA_NAME, seal(fields_of(data)))
    if previous != data.config_digest:
        commit_text(path / CONFIG_NAME, to_toml(to_mapping(new)) + "\n")


def _tokenizer_files(dataset: Dataset) -> dict[str, bytes]:
    store = dataset.store
    names = list(store.files(TOKENIZER_FOLDER))
    if not names:
        raise DatasetError(
            f"{store.where(TOKENIZER_FOLDER)}: no tokenizer, so the run could not be used later; "
            "restore the folder or run the same `blankstream build` again"
        )
    return {name.rpartition("/")[2]: store.read(name) for name in names}
