"""Tables drawn from token by token, so that the product's samplers and loops answer with them.

Knows tabular policies and the steppers' protocol. Knows nothing of rewards, labels or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accordant_studies.laboratory.worlds import TabularPolicy


@dataclass(slots=True)
class TableState:
    """Where rows stand: their contexts and states, int64 `[rows]`; -1 after an answer's end."""

    contexts: Tensor
    states: Tensor


class TableStepper:
    """A tabular policy, advanced token by token.

    Args:
        policy: read as it stands whenever logits are asked for.
    """

    positions = None
    enters = True
    device = torch.device("cpu")

    def __init__(self, policy: TabularPolicy) -> None:
        self.policy, world = policy, policy.world
        self.vocabulary = world.choices
        # Worlds keep what they compute: first in inference mode, no gradient could pass it later.
        _ = world.allowed
        self._next = torch.full((world.states, world.choices), -1)
        for path, answer in zip(world.paths, world.answers, strict=True):
            for state, token, after in zip(path, answer, (*path[1:], -1), strict=True):
                self._next[state, token] = after

    def evaluating(self) -> AbstractContextManager[None]:
        """Do nothing: a table has no other mode."""
        return nullcontext()

    def start(self, prompts: Sequence[Sequence[int]], copies: int, room: int) -> TableState:
        """Stand before the first token of `copies` answers to every prompt."""
        del room
        contexts = torch.tensor([self.policy.world.context_of(prompt) for prompt in prompts])
        first = torch.tensor(self.policy.world.paths[0][0])
        rows = contexts.repeat_interleave(copies)
        return TableState(rows, first.repeat(len(rows)))

    def logits(self, state: TableState) -> Tensor:
        """Return every choice's log-probability, float32 `[rows, choices]`."""
        # A row that has ended is still drawn from; what it draws means nothing.
        return self.policy.table()[state.contexts, state.states.clamp(min=0)].detach().float()

    model_logits = logits

    def advance(self, state: TableState, tokens: Tensor) -> None:
        """Append a token to every row."""
        state.states = self._next[state.states.clamp(min=0), tokens]

    def keep(self, state: TableState, rows: Tensor) -> None:
        """Select rows."""
        state.contexts, state.states = state.contexts[rows], state.states[rows]

    def enter(self, state: TableState, rows: Tensor, entering: TableState) -> None:
        """Put rows of another state into those of this one."""
        state.contexts[rows], state.states[rows] = entering.contexts, entering.states
