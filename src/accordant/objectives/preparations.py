"""What an objective may ask for before it can run: declarations, for its record.

Knows names of options, and of what is attached to examples. How a preparation is made is in
`training.preparations`; nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accordant.tokens.examples import Example


@dataclass(frozen=True)
class Preparation:
    """Something that is attached to every example, or done to it, before training.

    `attaches` names the numbers or answers an example then has (`Example.numbers`,
    `Example.extra_answers`), `noun` says it in words, `optional` whether the objective can do
    without, by its options or by a default of its own, and `default` the numbers of an example
    that has none beside others that do. `option_type` is the type of `option`, in words. `least`
    is how many records it takes.

    Args:
        option: option of the objective that governs it; empty where none does.
    """

    option: str = ""

    attaches: ClassVar[str] = ""
    noun: ClassVar[str] = ""
    optional: ClassVar[bool] = False
    default: ClassVar[tuple[float, ...] | None] = None
    option_type: ClassVar[str] = ""
    least: ClassVar[int] = 1

    def is_done(self, example: Example) -> bool:
        """Tell whether the example has what this preparation gives."""
        return example.has(self.attaches)


class Mismatched(Preparation):
    """Every prompt also with another example's answer (KTO estimates a KL from them)."""

    attaches = "mismatched"
    noun = "mismatched answers"
    least = 2


class SelfSamples(Preparation):
    """Answers the start model gives to every prompt itself (D2O); the option says how many."""

    attaches = "self_samples"
    noun = "self-samples"
    option_type = "whole number"


class Baselines(Preparation):
    """Scores of further frozen models, `--baseline-model` (PoFT).

    The row of numbers holds the mean log-probability per token of every answer of the record under
    every baseline, answer by answer, each baseline on its own tokens.
    """

    attaches = "baseline"
    noun = "scores of baselines"


class PromptWeights(Preparation):
    """How much commoner an example's prompt is among wanted answers than among unwanted ones (BCO).

    It is done where the option says so.
    """

    attaches = "prompt_weight"
    noun = "weighed prompts"
    optional = True
    option_type = "true or false"


class ScoredPrompts(Preparation):
    """Prompts scored with their answers, as one text (joint preferences, DOVE)."""

    noun = "prompts scored with their answers"

    def is_done(self, example: Example) -> bool:
        """Tell whether the trees begin with one token."""
        return all(len(tree.prompt) == 1 for tree in example.trees)


class Detail(Preparation):
    """Something records say beyond their type; `attaches` is the record's field.

    `column` says it as a user knows it, `how` how to write it into the data. If it is not
    `optional` every record must say it, otherwise one must.
    """

    column: ClassVar[str] = ""
    how: ClassVar[str] = ""


class Votes(Detail):
    """People who preferred the chosen and the rejected answer; one for the choice if none voted."""

    attaches = "votes"
    noun = "votes"
    column = "votes"
    how = (
        "Add columns `votes_chosen` and `votes_rejected`: how many people preferred each answer. "
        "For pairs labelled once, `ipo` and `dpo` need no votes."
    )
    optional = True
    default = (1.0, 0.0)


class RewardGaps(Detail):
    """By how much the chosen answer was rated higher than the rejected one."""

    attaches = "reward_gap"
    noun = "a reward gap"
    column = "scores"
    how = (
        "Add columns `score_chosen` and `score_rejected` (what each answer was rated by people or "
        "a reward model), or `margin`, their difference."
    )


DETAILS: tuple[type[Detail], ...] = (Votes, RewardGaps)
