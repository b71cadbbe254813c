"""Whole next-token distributions, for who reads more of them than one token's log-probability.

Knows hidden states and a model's head. Logits of as many positions exist at a time as are handed
in: whoever calls this cuts its positions into chunks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from accordant.models.adapters import base_model_of
from accordant.scoring.apart import sharing_of
from accordant.scoring.engine import ScoreOptions, head_settings
from accordant.scoring.family_head import FamilyHead
from accordant.scoring.head import bend


def next_token_logps(model: Any, hidden: Tensor) -> Tensor:
    """Return log-probabilities of every next token, float32 `[positions, vocab]`.

    Args:
        model: prepared by `scoring.install`.
        hidden: last hidden states of the predicting positions, `[positions, width]`, as
            `Scores.hidden` holds them.
    """
    base = base_model_of(model)
    if sharing_of(base).own_head:
        return torch.log_softmax(FamilyHead(base)(hidden).float(), dim=-1)
    logits = base.get_output_embeddings()(hidden)
    return torch.log_softmax(bend(logits, head_settings(base.config, ScoreOptions())), dim=-1)
