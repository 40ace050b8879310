"""Checkpoints of a run: complete under their name or not there at all.

Written by `train.py`; read when a run goes on, and by everything that uses a trained model. A
checkpoint is `RUN/checkpoints/step-0000100/` with `model.safetensors`, `optimizer.safetensors` and
`state.json`, which names the other two with their hashes.
"""

import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from torch import Tensor

from model.checkpoint import load_model, load_tensors, save_model, save_tensors
from model.transformer import GLM
from schemas.errors import CorruptDataError, DatasetError, RunError
from schemas.model_config import ModelConfig
from schemas.sealed import read_sealed, seal, unseal
from schemas.storage import TEMPORARY_MARK, commit_text, flush

CHECKPOINTS_FOLDER = "checkpoints"
MODEL_NAME, OPTIMIZER_NAME, STATE_NAME = "model.safetensors", "optimizer.safetensors", "state.json"

_FOLDER_NAME = re.compile(r"step-(\d{7,})")
_HASH_PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class Checkpoint:
    """A finished checkpoint: `stream` is the state of the row stream, `xxh3` of each file in hex.

    What is loaded is compared with `xxh3` first; `CorruptDataError` names the file that differs.
    """

    path: Path
    step: int
    stream: dict[str, Any]
    xxh3: dict[str, str]

    def load_model(self, config: ModelConfig) -> GLM:
        """The model, on the CPU."""
        return load_model(self._verified(MODEL_NAME), config)

    def load_training_tensors(self) -> dict[str, Tensor]:
        """The tensors beside the model's own, on the CPU."""
        return load_tensors(self._verified(OPTIMIZER_NAME))

    def _verified(self, name: str) -> Path:
        path = self.path / name
        found = _hash(path) if path.is_file() else "no file"
        if found != self.xxh3[name]:
            raise CorruptDataError(
                f"{path}: damaged: expected xxh3 {self.xxh3[name]}, found {found}; "
                f"{_remedy(self.path, self.step)}"
            )
        return path


def finished_checkpoints(run: Path) -> dict[int, Path]:
    """Step -> folder of the checkpoints of `run`, oldest first; unfinished ones are passed over."""
    folder = run / CHECKPOINTS_FOLDER
    found = {
        int(match[1]): path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := _FOLDER_NAME.fullmatch(path.name)) and (path / STATE_NAME).is_file()
    }
    return dict(sorted(found.items()))


def latest_checkpoint(run: Path) -> Checkpoint | None:
    """The finished checkpoint of the highest step, or None; only that one is read."""
    found = finished_checkpoints(run)
    return _read(found[max(found)], max(found)) if found else None


def last_checkpoint(run: Path) -> Checkpoint:
    """As `latest_checkpoint`; `RunError` when the run has none."""
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        raise RunError(
            f"{run}: no finished checkpoint; expected one below {CHECKPOINTS_FOLDER}/. Start the "
            "training again with --resume auto and let it reach train.checkpoint_every_steps"
        )
    return checkpoint


def write_checkpoint(
    run: Path, step: int, model: GLM, training: Mapping[str, Tensor], stream: dict[str, Any]
) -> None:
    """Write the checkpoint of `step`; after a crash it is complete or not there.

    `training` is whatever continuing needs beside the model, `stream` the state of the rows.
    """
    final = run / CHECKPOINTS_FOLDER / f"step-{step:07d}"
    temporary = final.with_name(f"{final.name}{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}")
    temporary.mkdir(parents=True)
    try:
        save_model(model, temporary / MODEL_NAME)
        save_tensors(training, temporary / OPTIMIZER_NAME)
        xxh3 = {name: _hash(temporary / name) for name in (MODEL_NAME, OPTIMIZER_NAME)}
        state = {"step": step, "stream": stream, "xxh3": xxh3}
        commit_text(temporary / STATE_NAME, seal(state))
        # Only an unfinished folder can have this name: a run goes on behind its last checkpoint.
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        flush(final.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def delete_old_checkpoints(run: Path, keep: int) -> None:
    """Delete all but the last `keep` finished checkpoints."""
    for path in list(finished_checkpoints(run).values())[:-keep]:
        # Renamed first, so that a crash leaves no half of a checkpoint under its name.
        doomed = path.with_name(f"{path.name}{TEMPORARY_MARK}old")
        path.rename(doomed)
        shutil.rmtree(doomed)


def delete_leftovers(run: Path) -> None:
    """Delete what an earlier process was writing or deleting when it was killed."""
    for path in (run / CHECKPOINTS_FOLDER).glob(f"*{TEMPORARY_MARK}*"):
        shutil.rmtree(path)


def _read(path: Path, step: int) -> Checkpoint:
    place, remedy = path / STATE_NAME, _remedy(path, step)

    def parse(state: dict[str, Any]) -> Checkpoint:
        if state["step"] != step:
            raise ValueError(f"it is the state of step {state['step']}")
        xxh3 = {name: str(state["xxh3"][name]) for name in (MODEL_NAME, OPTIMIZER_NAME)}
        return Checkpoint(path, step, dict(state["stream"]), xxh3)

    try:
        return unseal(read_sealed(place), str(place), remedy, parse)
    except DatasetError as error:
        raise CorruptDataError(str(error)) from error


def _remedy(path: Path, step: int) -> str:
    """What to do about a damaged checkpoint of `step` in the folder `path`."""
    if any(earlier < step for earlier in finished_checkpoints(path.parents[1])):
        return f"delete the folder {path} to use the checkpoint before it"
    return (
        f"restore the folder {path} from a copy: it is the only checkpoint of the run, which "
        "without it begins anew at step 0"
    )


def _hash(path: Path) -> str:
    found = xxhash.xxh3_64()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_PIECE_BYTES):
            found.update(block)
    return found.hexdigest()
