"""How a token's log-probability answers to its logits: what the head's own gradient is made of.

Knows hidden states, the head and target ids. Knows nothing of answers, losses or people. For a
linear head the gradient of token t's log-probability with respect to the head's weight is the outer
product of its residual r_t = d logp_t / d raw logits (onehot - softmax, where nothing bends the
logits) and its hidden state h_t; products of such gradients need neither of them in full.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.scoring.apart import sharing_of
from accordant.scoring.engine import ScoreOptions, head_settings
from accordant.scoring.head import bend
from accordant.scoring.scores import Scores


def head_products(model: nn.Module, scores: Scores, targets: Tensor) -> Tensor:
    """Compute inner products of the head's gradients of every two tokens' log-probabilities.

    Args:
        model: prepared by `scoring.install`.
        scores: with hidden states, of a few hundred tokens: their logits exist at once.
        targets: the tokens scored, int64 `[tokens]`.

    Returns:
        float64 `[tokens, tokens]`: <r_s, r_t> <h_s, h_t>, and <r_s, r_t> more with a bias.

    Raises:
        UserError: the head is more than a linear layer.
    """
    base = base_model_of(model)
    head = base.get_output_embeddings()
    if type(head) is not nn.Linear or sharing_of(base).own_head:
        raise UserError(
            f"the head of {type(base).__name__} is a {type(head).__name__}, not a linear layer, so "
            "its gradients are no outer products.",
            mend="Use the gradients of all weights.",
        )
    assert scores.hidden is not None
    states = scores.hidden.detach()
    with torch.enable_grad():
        logits = nn.functional.linear(states, head.weight, head.bias).detach().float()
        logits.requires_grad_()
        settings = head_settings(base.config, ScoreOptions())
        logps = torch.log_softmax(bend(logits, settings), dim=-1).gather(1, targets[:, None])
        (residuals,) = torch.autograd.grad(logps.sum(), logits)
    likeness = (residuals @ residuals.T).double()
    products = likeness * (states.double() @ states.double().T)
    return products if head.bias is None else products + likeness
