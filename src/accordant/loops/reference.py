"""The reference that follows the policy, as a rule says.

Knows weights and frozen models. Knows nothing of answers or labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from accordant.base.errors import UserError
from accordant.models.adapters import is_adapted, without_wrappers

if TYPE_CHECKING:
    from accordant.loops.recipe import ReferenceRule
    from accordant.scoring.frozen import Frozen


class MovingReference:
    """A frozen copy of the policy, moved in place at the start of rounds.

    Args:
        frozen: the reference, from `freeze`; whoever scores it sees it move.
        rule: how it moves.

    Raises:
        UserError: it is to move, and is no copy but the policy without its adapter.
    """

    def __init__(self, frozen: Frozen, rule: ReferenceRule) -> None:
        self.frozen, self.rule = frozen, rule
        # Weights of the policy at the last rounds' starts, the oldest first: as many as it lags.
        self.waiting: list[Mapping[str, torch.Tensor]] = []
        model = frozen.source
        if rule.moves and (not isinstance(model, nn.Module) or is_adapted(model)):
            raise UserError(
                "the recipe's reference follows the policy, and with an adapter the reference is "
                "the model without it, which stands still.",
                where="reference",
                mend="Train the whole model, or take a recipe with a fixed reference.",
            )
        if rule.lag and isinstance(model, nn.Module):
            self.waiting = [_copy(model)] * rule.lag

    @torch.no_grad()
    def begin(self, number: int, policy: nn.Module) -> None:
        """Move at the start of round `number`, 1 or more; `policy` is the model as it then is."""
        if not self.rule.moves or number % self.rule.every:
            return
        target: Mapping[str, torch.Tensor] = without_wrappers(policy).state_dict()
        if self.rule.lag:
            self.waiting.append(_copy(policy))
            target = self.waiting.pop(0)
        for name, weight in self._weights().items():
            # lerp_ takes no integers, such as the counters some models keep.
            if self.rule.keep and weight.is_floating_point():
                weight.lerp_(target[name].to(weight), 1 - self.rule.keep)
            else:
                weight.copy_(target[name])

    def state(self) -> dict[str, Any]:
        """Return what a resumed loop needs of it."""
        return {"reference": dict(self._weights()), "waiting": self.waiting}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the weights of `state` back."""
        for name, weight in self._weights().items():
            weight.copy_(state["reference"][name])
        self.waiting = list(state["waiting"])

    def _weights(self) -> Mapping[str, torch.Tensor]:
        model: Any = self.frozen.source
        weights: Mapping[str, torch.Tensor] = model.state_dict()
        return weights


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    weights = without_wrappers(model).state_dict()
    return {name: weight.detach().clone() for name, weight in weights.items()}
