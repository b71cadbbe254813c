"""The shape of an objective: its loss and its pushes along a line of margins.

Knows how to make up scores for each kind of feedback. Knows nothing of how lines are drawn. Answers
have 20 tokens of equal probability; the reference, and any other model, gives every token -2 nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accordant.objectives.inputs import Attached, ExtraAnswers, Sequences
from accordant.objectives.kinds.binary import BinaryScores
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.kinds.demonstration import DemonstrationScores
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.registry import bind_options

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.registry import Objective

TOKENS = 20
CENTRE = -2.0  # nats per token
WIDEST = 60.0  # nats; beyond it an answer would be likelier than certain
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """Loss along the margins, for one role of the answers.

    Args:
        name: such as `desirable`; empty when there is one line.
        losses: loss at every margin.
        pushes: for each answer, minus the slope of the loss in its log-probability: what gradient
            descent adds to it, per nat. Positive raises the answer.
    """

    name: str
    losses: tuple[float, ...]
    pushes: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Profile:
    """An objective along a line of margins.

    Args:
        axis: what the margins are, in words.
        margins: nats, rising.
        lines: one for every role an answer can have.
    """

    axis: str
    margins: tuple[float, ...]
    lines: tuple[Line, ...]


def profile(
    objective: Objective, given: Mapping[str, Any] | None = None, span: float = 30.0
) -> Profile | None:
    """Say how an objective answers to a margin.

    Comparisons and rankings of two: the margin is log-probability of the first answer minus that of
    the second, half of it added to one and half taken from the other, with a reference that is
    indifferent. Binary feedback and demonstrations: log-probability of the answer over the
    reference's.

    Args:
        objective: a registered objective.
        given: its options; defaults where not given.
        span: margins reach from -span to span, in nats; at most `WIDEST`.

    Returns:
        the profile, or None for kinds of feedback that a margin does not describe.
    """
    from accordant.objectives.batch import evaluate

    options = bind_options(objective, given or {})
    if objective.inputs not in _KINDS:
        return None
    axis, build = _KINDS[objective.inputs]
    margins = tuple(span * (2 * step / _STEPS - 1) for step in range(_STEPS + 1))
    inputs, answers, roles = build(objective, margins)
    losses = evaluate(objective, inputs, options).losses
    pushes = [
        push if len(push) == len(losses) else push[place::2]
        for place, push in enumerate(_pushes(losses, list(answers.values())))
    ]
    count = len(margins)
    lines = [
        Line(
            role,
            tuple(losses[k * count : (k + 1) * count].tolist()),
            {
                name: tuple(push[k * count : (k + 1) * count].tolist())
                for name, push in zip(answers, pushes, strict=True)
            },
        )
        for k, role in enumerate(roles)
    ]
    return Profile(axis, margins, tuple(lines))


def _pushes(losses: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Return minus each loss's slope in each leaf, mean over an answer's tokens, `[n]` each."""
    import torch

    if not losses.requires_grad:
        return [torch.zeros_like(losses) for _ in leaves]
    gradients = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
    return [
        torch.zeros_like(losses) if g is None else -g.reshape(-1, TOKENS).mean(1) for g in gradients
    ]


def _answers(objective: Objective, margins: tuple[float, ...]) -> tuple[Sequences, Tensor]:
    """Return answers that lead the reference by these margins, and the leaf of their tokens."""
    import torch

    from accordant.scoring.scores import from_lists

    rows = [[CENTRE + margin / TOKENS] * TOKENS for margin in margins]
    policy = from_lists(rows, dtype=torch.float64)
    policy.logps.requires_grad_()
    still = from_lists([[CENTRE] * TOKENS] * len(margins), dtype=torch.float64)
    return (
        Sequences(policy, still if objective.needs_reference else None),
        policy.logps,
    )


def _still(objective: Objective, count: int) -> Sequences:
    """Return answers that stand where the reference does."""
    sequences, _ = _answers(objective, (0.0,) * count)
    return replace(sequences, policy=sequences.policy.detach())


def _attached(objective: Objective, count: int) -> Attached:
    """Attach to examples what preparations would where the policy stands at the reference.

    Further answers are as likely as under the reference, baselines as well; weights are 1 and gaps
    0. There are no votes.
    """
    import torch

    numbers = {"baseline": CENTRE, "prompt_weight": 1.0, "reward_gap": 0.0}
    names = [need.attaches for need in objective.prepare]
    return Attached(
        {
            name: torch.full((count, 1), number, dtype=torch.float64)
            for name, number in numbers.items()
            if name in names
        },
        {
            name: ExtraAnswers(_still(objective, count), torch.arange(count))
            for name in ("mismatched", "self_samples")
            if name in names
        },
    )


def _comparisons(objective: Objective, margins: tuple[float, ...]) -> Any:

    count = len(margins)
    chosen, raised = _answers(objective, tuple(margin / 2 for margin in margins))
    rejected, lowered = _answers(objective, tuple(-margin / 2 for margin in margins))
    inputs = PairwiseScores(
        chosen,
        rejected,
        attached=_attached(objective, count),
    )
    return inputs, {"chosen": raised, "rejected": lowered}, ("",)


def _rankings(objective: Objective, margins: tuple[float, ...]) -> Any:
    import torch

    halves = tuple(half for margin in margins for half in (margin / 2, -margin / 2))
    both, leaf = _answers(objective, halves)
    ranks = torch.tensor([-1.0, -2.0], dtype=torch.float64).repeat(len(margins))
    ranking = torch.arange(len(margins)).repeat_interleave(2)
    return ListwiseScores(both, ranking, ranks), {"better": leaf, "other": leaf}, ("",)


def _thumbs(objective: Objective, margins: tuple[float, ...]) -> Any:
    import torch

    labels = objective.labels or (True, False)
    count = len(margins)
    answers, leaf = _answers(objective, margins * len(labels))
    inputs = BinaryScores(
        answers,
        torch.tensor(labels).repeat_interleave(count),
        attached=_attached(objective, count * len(labels)),
    )
    names = tuple("desirable" if label else "undesirable" for label in labels)
    return inputs, {"answer": leaf}, names


def _demonstrations(objective: Objective, margins: tuple[float, ...]) -> Any:
    answers, leaf = _answers(objective, margins)
    inputs = DemonstrationScores(answers, attached=_attached(objective, len(margins)))
    return inputs, {"answer": leaf}, ("",)


Builder = Callable[["Objective", tuple[float, ...]], Any]

_KINDS: dict[type, tuple[str, Builder]] = {
    PairwiseScores: ("log-probability of the chosen answer minus the rejected one's", _comparisons),
    ListwiseScores: ("log-probability of the better of two answers minus the other's", _rankings),
    BinaryScores: ("log-probability of the answer over the reference's", _thumbs),
    DemonstrationScores: ("log-probability of the answer over -2 nats per token", _demonstrations),
}
