"""Where a model computes, and in which type.

Chosen once by `train.py`, `fill.py` and the like; one process uses one device.
"""

import torch


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether `train.precision` means bfloat16 here; 'auto' does on a GPU that computes in it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bfloat16"


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Matrix products in bfloat16 inside, if asked; parameters and losses stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16)
