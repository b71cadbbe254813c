"""From the engine's scores to the record an objective takes.

Knows where attached answers stand among the continuations. Knows nothing of models, text, of how
preparations are made, or of what a kind of feedback makes of its own answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from accordant.objectives.feedback import check_feedback, check_labels
from accordant.objectives.inputs import Attached, ExtraAnswers, Sequences
from accordant.objectives.kind import answer_counts
from accordant.objectives.kinds import kind_of_inputs
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from accordant.objectives.registry import Objective
    from accordant.scoring.scores import Scores


def assemble(
    objective: Objective,
    policy: Scores,
    reference: Scores | None,
    examples: Sequence[Example],
) -> Any:
    """Build the scores record that `objective` takes.

    The reference never receives a gradient: it is detached here.

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
    expected = sum(len(tree.continuations) for example in examples for tree in example.trees)
    if policy.count != expected:
        raise ValueError(f"{policy.count} scores for {expected} continuations")
    if objective.needs_reference:
        if reference is None:
            raise ValueError(f"objective {objective.name!r} needs reference scores")
        if not torch.equal(reference.lengths, policy.lengths):
            raise ValueError("reference and policy scores are of different continuations")
        reference = reference.detach()
    else:
        reference = None
    kind = kind_of_inputs(objective.inputs)
    if kind is None:
        raise ValueError(f"nothing builds {objective.inputs.__name__}")
    for need in objective.prepare:
        if not need.optional and not all(map(need.is_done, examples)):
            raise ValueError(f"objective {objective.name!r} needs {need.noun} in every example")
    scores = Sequences(policy, reference)
    groups = _groups(examples)
    inputs = kind.assemble(_select(scores, groups[_OWN]), examples)
    if not objective.prepare:
        return inputs
    return replace(inputs, attached=_attached(objective, scores, examples, groups))


# Name of the record's own answers among the groups of continuations.
_OWN = ""
Group = list[tuple[int, int]]  # continuation and the example it belongs to


def _groups(examples: Sequence[Example]) -> dict[str, Group]:
    """Tell the records' own answers from each kind of attached ones."""
    groups: dict[str, Group] = {_OWN: []}
    first = 0
    for place, (example, own) in enumerate(zip(examples, answer_counts(examples), strict=True)):
        for name, count in ((_OWN, own), *example.extra_answers.items()):
            groups.setdefault(name, []).extend((at, place) for at in range(first, first + count))
            first += count
    return groups


def _select(scores: Sequences, group: Group) -> Sequences:
    if len(group) == scores.policy.count:
        return scores
    return scores.select(torch.tensor([at for at, _ in group], device=scores.policy.lengths.device))


def _attached(
    objective: Objective,
    scores: Sequences,
    examples: Sequence[Example],
    groups: dict[str, Group],
) -> Attached:
    """Collect what the objective's preparations gave to all of the examples."""
    numbers, answers = {}, {}
    for need in objective.prepare:
        name = need.attaches
        if any(name in example.numbers for example in examples):
            given = [example.numbers.get(name, need.default) for example in examples]
            rows = [row for row in given if row is not None]
            # Numbers that only some examples have are none at all: whoever reads them is told.
            if len(rows) == len(examples):
                numbers[name] = scores.policy.logps.new_tensor(rows)
        if all(name in example.extra_answers for example in examples):
            owner = torch.tensor([n for _, n in groups[name]], device=scores.policy.lengths.device)
            answers[name] = ExtraAnswers(_select(scores, groups[name]), owner)
    return Attached(numbers, answers)
