"""The reward that a policy has learnt without a reward model: its log-ratio to a reference.

Knows the engine, tokens and how answers become them. r(x, y) = beta (log policy(y|x) -
log reference(y|x)), which differs from the reward that training maximised by a number for each
prompt (Rafailov et al. 2023, eq. 5): it compares answers to one prompt, not prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.feedback.records import Demonstration, Message
from accordant.models.adapters import reference_mode
from accordant.rewards.reward import Answer, Rewards
from accordant.scoring.engine import score_all
from accordant.tokens.rendering import encode
from accordant.tokens.trees import TokenTree

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from accordant.tokens.rendering import Rendering

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ImplicitReward:
    """beta times log-ratio of a policy and its reference, in nats; steps are tokens.

    Args:
        policy: prepared by `scoring.install`.
        reference: what it came from, prepared likewise; None for the policy with its adapter off.
        tokenizer: of both.
        rendering: how prompts and answers become tokens, of answers that do not bring theirs.
        beta: the strength of the pull to the reference that the policy was trained with.
        token_budget: tokens of one forward pass.
    """

    policy: nn.Module
    reference: nn.Module | None
    tokenizer: PreTrainedTokenizerBase
    rendering: Rendering
    beta: float = 0.1
    token_budget: int = 4096
    name: str = "implicit"
    description: str = "log-probability under the policy minus that under its reference, times beta"
    attributes: tuple[str, ...] = ("reward",)

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch; answers to one prompt share its computation.

        Raises:
            UserError: a prompt that the template refuses.
        """
        encoded = self._encode(answers)
        # By tokens and not by text: the same question may have been sampled under two templates.
        rows: dict[Tokens, list[int]] = {}
        for row, (prompt, _) in enumerate(encoded):
            rows.setdefault(prompt, []).append(row)
        trees = [TokenTree(p, tuple(encoded[row][1] for row in at)) for p, at in rows.items()]
        policy = score_all(self.policy, trees, self.token_budget)
        # Without a second model the reference is the same weights, so the mode comes off again.
        with reference_mode(self.policy) if self.reference is None else nullcontext():
            reference = score_all(self.reference or self.policy, trees, self.token_budget)
        # In float64, as sums over long answers are large and their differences small.
        ratios = self.beta * (policy.logps.double() - reference.logps.double()).cpu().numpy()
        order = [row for at in rows.values() for row in at]
        ends = np.cumsum([len(encoded[row][1]) for row in order])
        steps = dict(zip(order, np.split(ratios[:, None], ends[:-1]), strict=True))
        of_answers = tuple(steps[row] for row in range(len(answers)))
        return Rewards(np.array([step.sum(0) for step in of_answers]), of_answers)

    def _encode(self, answers: Sequence[Answer]) -> list[tuple[Tokens, Tokens]]:
        """Return prompts and completions in tokens: as sampled, or as records would give them."""
        records = [_record(answer) for answer in answers if not _sampled(answer)]
        examples = iter(
            encode(records, self.tokenizer, self.rendering, max_tokens=None).examples
            if records
            else ()
        )
        encoded: list[tuple[Tokens, Tokens]] = []
        for answer in answers:
            if _sampled(answer):
                encoded.append((answer.prompt_tokens or (), answer.tokens or ()))
                continue
            (tree,) = next(examples).trees
            (completion,) = tree.continuations
            # An answer that was cut off did not write the end of its turn.
            cut = completion if answer.finished else completion[:-1]
            encoded.append((tree.prompt, cut or completion))
        return encoded


def _record(answer: Answer) -> Demonstration:
    if isinstance(answer.prompt, str):
        return Demonstration(answer.prompt, answer.text)
    return Demonstration(answer.prompt, (Message("assistant", answer.text),))


def _sampled(answer: Answer) -> bool:
    return answer.prompt_tokens is not None and answer.tokens is not None
