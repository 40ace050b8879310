"""Precision: what 'auto' means, and what autocast does."""

import torch

from jobs.devices import autocast, default_device, is_bfloat16

CPU = torch.device("cpu")


def test_auto_is_float32_on_a_cpu_and_bfloat16_can_be_asked_for() -> None:
    assert not is_bfloat16("auto", CPU)
    assert not is_bfloat16("float32", CPU)
    assert is_bfloat16("bfloat16", CPU)


def test_products_are_in_the_type_asked_for() -> None:
    ones = torch.ones(2, 2)
    with autocast(CPU, bfloat16=True):
        assert (ones @ ones).dtype == torch.bfloat16
    with autocast(CPU, bfloat16=False):
        assert (ones @ ones).dtype == torch.float32


def test_the_default_device_is_the_gpu_where_there_is_one() -> None:
    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
