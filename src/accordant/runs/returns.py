"""What the verbs return in Python beside files: findings, and scores of answers.

Knows findings, examples and scores. Computes nothing but differences of scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from accordant.base.errors import UserError

if TYPE_CHECKING:
    from accordant.checks.findings import Finding
    from accordant.scoring.scores import Scores
    from accordant.tokens.examples import Example


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found.

    Args:
        findings: the worst first.
        not_run: why each of the other checks was not run, by name.
        report: page that shows the findings.
    """

    findings: tuple[Finding, ...]
    not_run: Mapping[str, str]
    report: Path


@dataclass(frozen=True, slots=True, eq=False)
class AnswerScores:
    """Log-probabilities of the answers of `n` records, in the order of the records.

    Args:
        examples: the records in tokens; `index` is the record's place.
        scores: of all their answers, token by token.
        reference: of the same answers under the reference; None without one.
        beta: factor of rewards.
    """

    examples: tuple[Example, ...]
    scores: Scores
    reference: Scores | None
    beta: float

    @property
    def logps(self) -> list[list[float]]:
        """Summed log-probability of every answer, nats; a row a record, answers in its order."""
        return self._by_record(self.scores.sum().tolist())

    @property
    def rewards(self) -> list[list[float]]:
        """Beta times log-ratio of policy and reference of every answer; a row a record.

        Raises:
            UserError: nothing was scored beside the policy.
        """
        if self.reference is None:
            raise UserError("rewards compare with a reference.", mend="Give score(reference=...).")
        ratios = self.scores.sum() - self.reference.sum()
        return self._by_record((self.beta * ratios).tolist())

    @property
    def margins(self) -> list[float]:
        """Reward of every record's first answer (the chosen, the best) less that of its second."""
        return [row[0] - row[1] for row in self.rewards if len(row) > 1]

    def _by_record(self, values: Sequence[float]) -> list[list[float]]:
        rest = iter(values)
        counts = (sum(len(t.continuations) for t in e.own_trees) for e in self.examples)
        return [[next(rest) for _ in range(count)] for count in counts]
