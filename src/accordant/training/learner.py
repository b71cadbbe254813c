"""From examples to a loss with its gradient: where policy, frozen models and objective meet.

Knows the engine, frozen models, assembly and evaluation of registered objectives. Knows nothing of
optimisers, steps, processes or files: a trainer, a laboratory and a check all take their losses
from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from accordant.base.errors import UserError
from accordant.models.heads import ValueHead
from accordant.objectives.assembly import assemble
from accordant.objectives.batch import (
    MetricTotals,
    column_totals,
    evaluate,
    family_metrics,
    loss_totals,
)
from accordant.objectives.inputs import LossOutput
from accordant.objectives.registry import Objective
from accordant.scoring.engine import Policy, ScoreOptions, device_of, lay_out
from accordant.scoring.frozen import Frozen
from accordant.tokens.examples import Example


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of some examples, as totals that add up exactly over the parts of a batch.

    Args:
        inputs: the scores the objective was given.
        output: what it returned.
        total: sum of losses times weights, scalar with gradient.
        weight: sum of the weights, scalar; the number of losses where the objective weighs none.
    """

    inputs: Any
    output: LossOutput
    total: Tensor
    weight: Tensor

    @property
    def mean(self) -> Tensor:
        """The weighted mean loss, scalar with gradient."""
        return self.total / self.weight

    def metrics(self) -> MetricTotals:
        """Return what is logged of the examples, without gradient."""
        return family_metrics(self.inputs, self.output)


@dataclass(frozen=True, slots=True)
class Learner:
    """A policy that learns by an objective beside frozen models.

    Args:
        objective: a registered objective.
        options: its options, from `bind_options`.
        policy: what is trained: a model prepared by `scoring.install`, wrapped or not, or
            one that scores trees by itself.
        reference: scored for objectives that need a reference; None for the others.
        head: trained beside the policy by objectives that read values; None for the others.
    """

    objective: Objective
    options: Mapping[str, Any]
    policy: Policy
    reference: Frozen | None = None
    head: ValueHead | None = None

    def prepare(self, examples: Sequence[Example]) -> Callable[[], Any]:
        """Lay `examples` out and read the frozen models, once for any number of steps on them.

        Returns:
            a function that scores the policy as it stands when called, and returns the record of
            scores the objective takes, with gradients where they are enabled.

        Raises:
            UserError: the objective reads values, and there is no head or one of another width.
        """
        # Before the policy is scored: a copy to an accelerator waits for what was queued earlier.
        device = device_of(self.policy)
        reference = None
        if self.reference is not None and self.objective.needs_reference:
            reference = self.reference.scores(examples).to(device)
        trees = [tree for example in examples for tree in example.trees]
        score = lay_out(self.policy, trees, self._score_options())
        return lambda: assemble(self.objective, score(), reference, examples)

    def _score_options(self) -> ScoreOptions:
        """Ask the engine for what the objective's record says it reads."""
        reads = self.objective.reads
        if "values" in reads and self.head is None:
            raise UserError(
                f"objective {self.objective.name!r} reads values, and there is no head for them.",
                mend="Give the learner a head: Learner(..., head=models.ValueHead(width)).",
            )
        return ScoreOptions(
            entropy="entropy" in reads,
            hidden="hidden" in reads,
            values=self.head if "values" in reads else None,
            # Values alone spare the vocabulary's logits, which cost more than all else.
            logps=reads != ("values",),
        )

    def inputs(self, examples: Sequence[Example]) -> Any:
        """Score `examples` and return the record of scores the objective takes."""
        return self.prepare(examples)()

    def loss(self, examples: Sequence[Example], means: Tensor | None = None) -> Loss:
        """Score `examples`, in one pass, and return their loss.

        Args:
            examples: records in tokens, at least one.
            means: statistics of the batch the examples are part of, from `statistics` of all its
                parts; over `examples` alone when None.
        """
        return self.evaluate(self.inputs(examples), means)

    def evaluate(
        self, inputs: Any, means: Tensor | None = None, weights: Tensor | None = None
    ) -> Loss:
        """Return the loss of examples that were scored; see `loss`.

        Args:
            inputs: from `inputs` or `prepare`.
            means: see `loss`.
            weights: how much every example counts besides the objective's own weights, `[n]`; 1
                when None.
        """
        output = evaluate(self.objective, inputs, self.options, means)
        return Loss(inputs, output, *loss_totals(output, weights))

    def statistics(self, inputs: Any) -> Tensor:
        """Return sums and counts, `[2, k]`, of the objective's batch statistics over `inputs`.

        Those of a batch's parts are added, and `objectives.batch.column_means` of the sum are the
        `means` of all parts.

        Raises:
            ValueError: the objective has no batch statistics.
        """
        return column_totals(self.objective, inputs, self.options)
