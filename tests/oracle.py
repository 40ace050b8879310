"""Where the reference's numbers are, and which of them the model does not reproduce yet."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from model.attention import Layout
from model.reference import from_reference
from model.transformer import GLM
from schemas.model_config import ModelConfig

UNSUPPORTED = {
    "glm130b_reference.safetensors": "the GLM-130B layer (rotary positions, DeepNorm, GeGLU)",
    "glm130b_reference_2d.safetensors": "the GLM-130B layer (rotary positions, DeepNorm, GeGLU)",
    "generation_cases.json/beam": "beam search",
    "generation_cases.json/filling": "filling the blanks of a batch as one stream each",
}
"""File, or file/section, of model-side reference numbers -> the variant we do not have yet."""


def oracle_path(name: str) -> Path:
    """The file `name` in the folder `BLANKSTREAM_ORACLE_DIR`, or in `tests/data/oracle`."""
    default = Path(__file__).parent / "data" / "oracle"
    return Path(os.environ.get("BLANKSTREAM_ORACLE_DIR") or default) / name


@dataclass(frozen=True)
class ReferenceFile:
    """Tensors by name, the metadata's lists, and the sizes of the model they belong to."""

    tensors: dict[str, Tensor]
    cases: list[str]
    cases_with_loss: list[str]
    config: ModelConfig

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below `prefix/`, without it."""
        start = f"{prefix}/"
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }

    def model(self, scale: dict[str, float] | None = None) -> GLM:
        """A GLM in evaluation mode with the weights of the file, some multiplied by a factor."""
        weights = {
            name: weight * (scale or {}).get(name, 1.0)
            for name, weight in self.group("weight").items()
        }
        model = GLM(self.config)
        model.load_state_dict(from_reference(weights))
        return model.eval()


@cache
def reference_file(name: str = "glm_reference.safetensors") -> ReferenceFile:
    """The reference file `name`, read once."""
    with safe_open(oracle_path(name), framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return ReferenceFile(
        tensors=tensors,
        cases=json.loads(metadata["cases"]),
        cases_with_loss=json.loads(metadata["cases_with_loss"]),
        config=ModelConfig(**json.loads(metadata["config"])),
    )


def layout_of(case: dict[str, Tensor]) -> Layout:
    """One sample in each row; without `length` it fills the row."""
    boundary = case["boundary"]
    full = boundary.new_full(boundary.shape, case["tokens"].shape[-1])
    return Layout(lengths=case.get("length", full)[:, None], boundaries=boundary[:, None])
