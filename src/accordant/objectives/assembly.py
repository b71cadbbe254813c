"""From the engine's scores to the record an objective takes.

Knows where attached answers stand among the continuations. Knows nothing of models, text, of how
preparations are made, or of what a kind of feedback makes of its own answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accordant.objectives.feedback import check_feedback, check_labels
from accordant.objectives.inputs import Attached, ExtraAnswers, Sequences
from accordant.objectives.kind import answer_counts
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from accordant.objectives.registry import Objective
    from accordant.scoring.scores import Scores

# Of every continuation whose it is: the name it is attached under, empty for a record's own
# answers, and the place of its example.
Owners = list[tuple[str, int]]


def assemble(
    objective: Objective, policy: Scores, reference: Scores | None, examples: Sequence[Example]
) -> Any:
    """Build the scores record that `objective` takes.

    Args:
        objective: whose record to build.
        policy: scores of all continuations of all trees of `examples`, in order.
        reference: the reference's scores of the same continuations; None when the objective needs
            none.
        examples: records in tokens, of types and with labels the objective can use, and prepared
            as it asks.

    Returns:
        an instance of `objective.inputs`.

    Raises:
        UserError: the examples are of a type, or carry a label, the objective cannot use.
        ValueError: scores and examples do not belong together, or a preparation was not done.
    """
    check_feedback(objective, {example.kind for example in examples})
    check_labels(objective, examples)
    owners: Owners = [
        (name, place)
        for place, (example, own) in enumerate(zip(examples, answer_counts(examples), strict=True))
        for name, count in (("", own), *example.extra_answers.items())
        for _ in range(count)
    ]
    if policy.count != len(owners):
        raise ValueError(f"{policy.count} scores for {len(owners)} continuations")
    for need in objective.prepare:
        if not need.optional and not all(map(need.is_done, examples)):
            raise ValueError(f"objective {objective.name!r} needs {need.noun} in every example")
    scores = Sequences(policy)
    if objective.needs_reference:
        if reference is None:
            raise ValueError(f"objective {objective.name!r} needs reference scores")
        if reference.host_lengths != policy.host_lengths:
            raise ValueError("reference and policy scores are of different continuations")
        # Whatever the caller scored it with, no gradient may reach the reference.
        scores = Sequences(policy, reference.detach())
    inputs = objective.inputs.assemble(_select(scores, owners, ""), examples)
    if not objective.prepare:
        return inputs
    return replace(inputs, attached=_attached(objective, scores, owners, examples))


def _select(scores: Sequences, owners: Owners, name: str) -> Sequences:
    """Select the continuations attached under a name."""
    mine = [at for at, (other, _) in enumerate(owners) if other == name]
    if len(mine) == len(owners):
        return scores
    return scores.select(mine)


def _attached(
    objective: Objective, scores: Sequences, owners: Owners, examples: Sequence[Example]
) -> Attached:
    """Collect what the objective's preparations gave to all of the examples."""
    numbers, answers = {}, {}
    for name, default in ((need.attaches, need.default) for need in objective.prepare):
        if any(name in example.numbers for example in examples):
            rows = [example.numbers.get(name, default) for example in examples]
            # Numbers that only some examples have are none at all: whoever reads them is told.
            if None not in rows:
                numbers[name] = scores.policy.beside(scores.policy.logps, rows)
        if all(name in example.extra_answers for example in examples):
            places = [place for other, place in owners if other == name]
            example = scores.policy.beside(scores.policy.lengths, places)
            answers[name] = ExtraAnswers(_select(scores, owners, name), example)
    return Attached(numbers, answers)
