"""A model that was changed by hand beside the one it came from, for checks after training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from accordant.checks.inputs import CheckInputs
from accordant.feedback.records import Record
from accordant.rewards.registry import FunctionReward
from tests.checks.before.modelled import make_inputs, make_model

Judge = Callable[[str, str, bool], float]


def biased(model: Any, shifts: Mapping[int, float]) -> Any:
    """A copy whose logits of some tokens are shifted everywhere, whatever the prompt."""
    changed = copy.deepcopy(model)
    head = changed.get_output_embeddings()
    bias = torch.zeros(head.out_features)
    for token, shift in shifts.items():
        bias[token] = shift
    head.bias = torch.nn.Parameter(bias)
    return changed


def trained(
    records: Sequence[Record],
    change: Callable[[Any], Any],
    kind: str = "comparison",
    judge: Judge | None = lambda _prompt, text, _finished: float(len(text)),
    **fields: Any,
) -> CheckInputs:
    """All a check after training may read; `change` makes the trained model of the reference."""
    reference = make_model()
    reward = None if judge is None else FunctionReward("planted", "what a test wants", judge)
    made = {"model": change(reference), "reference": reference, "reward": reward}
    return make_inputs(records, kind, **(made | fields))
