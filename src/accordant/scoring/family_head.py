"""A family's own way from last hidden states to logits, where it is more than a linear layer.

Knows transformers models. Knows nothing of targets, trees or losses.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from accordant.models.hooks import backbone_of


class _Output:
    """What a backbone returns that has made hidden states and nothing else."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, index: Any) -> Any:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        """Answer for caches, attentions and whatever else a family's output names: none."""


class FamilyHead(nn.Module):
    """Logits of hidden states by the model's own forward, its backbone left out."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        # No submodule: the weights are the model's, and it holds them already.
        self._held = (base,)

    def forward(self, hidden: Tensor) -> Tensor:
        """Take states `[tokens, width]` to logits `[tokens, vocab]`."""
        base, backbone = self._held[0], backbone_of(self._held[0])
        earlier = vars(backbone).get("forward")
        backbone.forward = lambda *_args, **_kwargs: _Output(hidden[None])
        try:
            ids = torch.zeros((1, len(hidden)), dtype=torch.int64, device=hidden.device)
            logits: Tensor = type(base).forward(base, input_ids=ids).logits[0]
            return logits
        finally:
            del backbone.forward
            if earlier is not None:
                backbone.forward = earlier
