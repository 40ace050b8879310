"""Named tensors on disk: safetensors files that are either complete or not there.

`save_model`/`load_model` keep the parameters of a GLM; the trainer keeps optimizer state and the
like with `save_tensors`/`load_tensors`. Nothing is ever pickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.transformer import GLM
from schemas.errors import CorruptDataError, RunError
from schemas.model_config import ModelConfig
from schemas.storage import committed

METADATA_KEY = "blankstream"
"""Key of the file's metadata that holds ours as JSON.

One key only: safetensors writes several in random order, and equal content is to be equal bytes.
"""


def save_model(model: GLM, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the parameters under our own names; the tied head is not stored again."""
    save_tensors(model.state_dict(), path, metadata)


def load_model(path: Path, config: ModelConfig) -> GLM:
    """The GLM of `config` with the parameters of `path`, on the CPU, in the types of the file.

    `RunError` when names or shapes are not exactly those of `config`, naming each that differs.
    """
    tensors = load_tensors(path)
    with torch.device("meta"):
        model = GLM(config)
    check_tensors(tensors, model.state_dict(), str(path))
    model.load_state_dict(tensors, assign=True)
    return model


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write `path` atomically and durably: after a crash it is the old file or the new one.

    Equal tensors and metadata give equal bytes.
    """
    contents = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(metadata or {}), sort_keys=True)
    with committed(path) as temporary:
        save_file(contents, temporary, {METADATA_KEY: text})


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of `path`, on the CPU, in memory of its own.

    `RunError` when the file is missing, `CorruptDataError` when it is not whole.
    """
    with _opened(path) as file:
        # Copied: safetensors hands out views of a mapping, and a file that is cut while it is
        # mapped ends the process.
        return {name: file.get_tensor(name).clone() for name in sorted(file.keys())}


def load_metadata(path: Path) -> dict[str, str]:
    """What `save_tensors` was given as metadata; empty for files written by others."""
    with _opened(path) as file:
        metadata: dict[str, str] = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
        return metadata


def check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], place: str
) -> None:
    """Names and shapes of `tensors` are exactly those of `expected`, else `RunError`."""
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    problems = [f"no tensor '{name}'" for name in missing]
    problems += [f"unknown tensor '{name}'" for name in unknown]
    problems += [
        f"'{name}' has shape {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & tensors.keys())
        if tensors[name].shape != expected[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        raise RunError(
            f"{place}: the tensors do not fit the model ({len(problems)} problems): {shown}. "
            "Load it with the [model] section it was trained with"
        )


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such checkpoint file; check the path of the run") from error
    except SafetensorError as error:
        raise CorruptDataError(
            f"{path}: not a whole safetensors file ({error}); use an earlier checkpoint"
        ) from error
