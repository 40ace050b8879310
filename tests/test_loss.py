"""The loss touches labelled places only."""

import torch
from torch.nn import functional

from model.loss import token_losses
from schemas.objectives import IGNORE_INDEX
from tests.models import packed_inputs, tiny_glm

LABELS = torch.tensor([[IGNORE_INDEX, 4, IGNORE_INDEX, 9, 1, IGNORE_INDEX]])


def test_losses_equal_the_cross_entropy_of_all_logits() -> None:
    model, inputs = tiny_glm(), packed_inputs([(6, 1)], 6)
    hidden = inputs.hidden(model)
    result = token_losses(model, hidden, LABELS)
    everywhere = functional.cross_entropy(model.logits(hidden)[0], LABELS[0], reduction="none")
    assert result.indices.tolist() == [1, 3, 4]
    torch.testing.assert_close(result.losses, everywhere[result.indices])
    torch.testing.assert_close(result.mean(), everywhere.sum() / 3)


def test_indices_point_into_the_flattened_batch() -> None:
    model, hidden = tiny_glm(), torch.zeros(2, 3, 16)
    labels = torch.tensor([[IGNORE_INDEX, 1, 2], [3, IGNORE_INDEX, 4]])
    assert token_losses(model, hidden, labels).indices.tolist() == [1, 2, 3, 5]


def test_unlabelled_places_get_no_gradient() -> None:
    hidden = packed_inputs([(6, 1)], 6).hidden(tiny_glm()).detach().requires_grad_()
    token_losses(tiny_glm(), hidden, LABELS).mean().backward()
    assert hidden.grad is not None
    reached = hidden.grad[0].any(dim=-1).tolist()
    assert reached == [label != IGNORE_INDEX for label in LABELS[0]]


def test_without_labels_the_loss_is_zero_and_so_are_all_gradients() -> None:
    model, inputs = tiny_glm(), packed_inputs([(6, 1)], 6)
    labels = torch.full((1, 6), IGNORE_INDEX)
    loss = token_losses(model, inputs.hidden(model), labels).mean()
    loss.backward()
    assert loss.item() == 0
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_losses_are_float32_whatever_the_type_of_the_model() -> None:
    model, inputs = tiny_glm().bfloat16(), packed_inputs([(6, 1)], 6)
    assert token_losses(model, inputs.hidden(model), LABELS).losses.dtype == torch.float32
