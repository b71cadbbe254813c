"""From a preference structure to a loss on the scores of comparisons.

Knows structures, links, and which number of a pair's scores weighs which proposition. Knows nothing
of registered losses but how to add one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from accordant.base.options import Positive
from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.numerics import join
from accordant.objectives.registry import get_objective, objective
from accordant_studies.explore.logic.counting import log_count
from accordant_studies.explore.logic.formulas import simplify, write
from accordant_studies.explore.logic.links import Link, logistic
from accordant_studies.explore.logic.structures import Structure

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.registry import Objective
    from accordant.scoring.scores import Scores


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a loss: weight * link(log-ratio of the structure's two counts).

    Args:
        structure: what is preferred to what.
        link: how the loss falls in the ratio.
        weight: what the summand is multiplied by.
        per_token: whether an answer's probability is the geometric mean over its tokens, rather
            than their product.
        margin: the proposition G weighs exp(-margin).
    """

    structure: Structure
    link: Link
    weight: float = 1.0
    per_token: bool = False
    margin: float = 0.0

    @property
    def needs_reference(self) -> bool:
        """Say whether a proposition of the structure is about the reference."""
        return any(name.startswith("R") for name in self.structure.names)

    def log_ratio(self, pairs: PairwiseScores) -> Tensor:
        """Return rho = log(count of the preferred worlds / count of the others), `[n]`."""
        names = self.structure.names
        preferred, dispreferred = self.structure.tables(names)
        weights = self._weights(pairs)
        return log_count(preferred, names, weights) - log_count(dispreferred, names, weights)

    def loss(self, pairs: PairwiseScores) -> Tensor:
        """Return the summand of every pair, `[n]`."""
        return self.weight * self.link.apply(self.log_ratio(pairs))

    def _weights(self, pairs: PairwiseScores) -> dict[str, Tensor]:
        """Return log p of every proposition, `[n]`."""
        sides = {"w": pairs.chosen, "l": pairs.rejected}
        found: dict[str, Tensor] = {}
        for side, sequences in sides.items():
            found[f"M_{side}"] = found[f"C_{side}"] = self._log_probability(sequences.policy)
            if self.needs_reference:
                found[f"R_{side}"] = self._log_probability(_reference(sequences))
        return found | {"G": 0 * found["M_w"].detach() - self.margin}

    def _log_probability(self, scores: Scores) -> Tensor:
        return scores.mean() if self.per_token else scores.sum()


def compile_terms(terms: Sequence[Term], pairs: PairwiseScores) -> LossOutput:
    """Return the loss that is the sum of `terms`, on the scores of `pairs`.

    The implicit reward of an answer is its log-probability, over the reference's where the terms
    read one, times the scale of the first term's link.

    Raises:
        ValueError: a structure prefers, or disprefers, no world.
    """
    losses = sum((term.loss(pairs) for term in terms[1:]), terms[0].loss(pairs))
    referenced = any(term.needs_reference for term in terms)
    answers = [
        side.log_ratio() if referenced else side.policy.sum()
        for side in (pairs.chosen, pairs.rejected)
    ]
    return LossOutput(losses, terms[0].link.scale * join(answers).detach())


def register_structure(
    name: str,
    structure: Structure,
    *,
    summary: str,
    per_token: bool = False,
    beta: float = 1.0,
) -> Objective:
    """Register the logistic loss of a structure, so that it trains like any other.

    Its option `beta` scales the log-ratio of the two counts.

    Args:
        name: as on the command line.
        structure: what the loss prefers to what.
        summary: one sentence, shown in lists.
        per_token: see `Term`.
        beta: default of the option.

    Raises:
        ValueError: the name is taken or misspelt, or one side of the structure holds nowhere.
    """
    term = Term(structure, logistic(), per_token=per_token)
    if 0 in structure.tables():
        raise ValueError("a structure that prefers, or disprefers, no world has no loss")

    sides = [write(simplify(side)) for side in (structure.preferred, structure.dispreferred)]

    def compiled(pairs: PairwiseScores, *, beta: Positive = beta) -> LossOutput:
        return compile_terms([replace(term, link=logistic(beta))], pairs)

    # A user's, not one of accordant's; told apart from others by name and meaning.
    compiled.__module__, compiled.__qualname__ = "compiled_structures", f"{name}: {structure}"
    compiled.__doc__ = (
        f"{summary}\n\nArgs:\n    beta: scale of the log-ratio of the two weighted counts."
    )
    objective(
        name=name,
        feedback="comparison",
        needs_reference=term.needs_reference,
        paper="none: compiled from a formula",
        formula="-log sigmoid(beta rho), rho = log(count({}) / count({}))".format(*sides),
    )(compiled)
    return get_objective(name)


def _reference(sequences: Sequences) -> Scores:
    if sequences.reference is None:
        raise ValueError("the structure speaks of a reference, and there are no scores of one")
    return sequences.reference
