"""A learner at the beginning of a run, at a checkpoint, and into the next checkpoint.

Stands between the files of `run_checkpoints.py` and the loop in `train.py`: model, optimizer and
the random state that dropout draws from go to disk and come back together.
"""

import torch
from torch import Tensor

from jobs.devices import default_device, is_bfloat16
from jobs.optimizer import load_optimizer_tensors, make_optimizer, optimizer_tensors
from jobs.run_checkpoints import Checkpoint
from jobs.train_step import Learner
from model.init import initialize
from model.transformer import GLM
from schemas.config import Config, digest
from schemas.samples import RowFormat

_RANDOM_STATE = "random/"


def begin(config: Config, row_format: RowFormat, checkpoint: Checkpoint | None) -> Learner:
    """The learner of `train.seed` at step 0, or as it was at `checkpoint`, on the default device.

    Sets the random state of the process, from which dropout draws.
    """
    device = default_device()
    if checkpoint is None:
        model = GLM(config.model)
        initialize(model, config.train.seed)
    else:
        model = checkpoint.load_model(config.model)
    model.to(device).train()
    bfloat16 = is_bfloat16(config.train.precision, device)
    optimizer = make_optimizer(model, config.train)
    learner = Learner(model, optimizer, config.train, row_format, bfloat16)
    if checkpoint is None:
        torch.manual_seed(_dropout_seed(config.train.seed))
    else:
        _restore(learner, checkpoint)
    return learner


def training_tensors(learner: Learner) -> dict[str, Tensor]:
    """What a checkpoint holds beside the model: moments of the optimizer and random state."""
    tensors = optimizer_tensors(learner.model, learner.optimizer)
    tensors[f"{_RANDOM_STATE}cpu"] = torch.get_rng_state()
    if learner.model.device.type == "cuda":
        tensors[f"{_RANDOM_STATE}cuda"] = torch.cuda.get_rng_state(learner.model.device)
    return tensors


def _restore(learner: Learner, checkpoint: Checkpoint) -> None:
    tensors = checkpoint.load_training_tensors()
    random = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_RANDOM_STATE)}
    load_optimizer_tensors(learner.model, learner.optimizer, tensors, str(checkpoint.path))
    torch.set_rng_state(random[f"{_RANDOM_STATE}cpu"])
    if learner.model.device.type == "cuda" and f"{_RANDOM_STATE}cuda" in random:
        torch.cuda.set_rng_state(random[f"{_RANDOM_STATE}cuda"], learner.model.device)


def _dropout_seed(seed: int) -> int:
    """Not `seed` itself: the weights were drawn with that."""
    return int(digest({"seed": seed, "purpose": "dropout"})[:15], 16)
