"""Cross-entropy where there is something to predict.

After the GLM's hidden states, before the optimizer. Only labelled places go through the head: in
a row of GLM samples most tokens are part A or padding, and logits are the largest tensor there is.

Shapes: B rows, L tokens, M hidden size, N labelled places.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from model.transformer import GLM
from schemas.objectives import IGNORE_INDEX


@dataclass(frozen=True)
class TokenLosses:
    """Losses of the labelled places of one batch, in row order.

    `losses` is float32 (N,) and carries the gradient; `indices` is int64 (N,) into the flattened
    (B x L) batch, so that losses can be summed per sample or objective.
    """

    losses: Tensor
    indices: Tensor

    def mean(self) -> Tensor:
        """Scalar mean over the labelled places; 0, with a zero gradient, when there are none."""
        return self.losses.sum() / max(1, self.losses.numel())


def token_losses(model: GLM, hidden_BLM: Tensor, labels_BL: Tensor) -> TokenLosses:
    """-log p(label) at every place whose label is not `IGNORE_INDEX`.

    `labels_BL` is int64 (B, L). Logits are turned to float32 before the softmax, whatever the
    model's type.
    """
    labels = labels_BL.flatten()
    indices_N = (labels != IGNORE_INDEX).nonzero().squeeze(1)
    hidden_NM = hidden_BLM.flatten(0, 1).index_select(0, indices_N)
    losses_N = functional.cross_entropy(
        model.logits(hidden_NM).float(), labels[indices_N], reduction="none"
    )
    return TokenLosses(losses=losses_N, indices=indices_N)
