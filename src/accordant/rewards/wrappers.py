"""Rewards made of rewards: one attribute, transformed, several combined, calibrated.

Knows the protocol and pure maps of numbers. Knows no model: a calibration is given the reference
policy's answers by whoever has sampled them (`with_reference_answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from accordant.base.errors import UserError
from accordant.feedback.records import Text
from accordant.rewards.reward import Answer, Reward, Rewards, rows_by_prompt, score_answers
from accordant.rewards.transforms import CALIBRATIONS, TRANSFORMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COMBINATIONS: dict[str, Callable[..., Any]] = {
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "sum": np.sum,
}

REFERENCE_ANSWERS = 8
"""Of the reference to each prompt, for one who draws them; with fewer a centre is mostly noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """A reward computed from the values of others.

    Args:
        name: the expression that makes it.
        function: what is done to them, in a word.
        rewards: the others, one at least.
        attributes: names of the columns of what is computed.
        compute: all attributes of the others, float64 `[n, all]`, to `[n, attributes]`.
        of_steps: whether `compute` of a single reward's steps gives the steps of what is computed.
    """

    name: str
    function: str
    rewards: tuple[Reward, ...]
    attributes: tuple[str, ...]
    compute: Callable[[Floats], Floats]
    of_steps: bool = False

    @property
    def description(self) -> str:
        """What is computed of what."""
        return f"{self.function} of: {'; '.join(reward.description for reward in self.rewards)}"

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch by every reward and compute."""
        scored = [score_answers(reward, answers) for reward in self.rewards]
        steps = scored[0].steps if self.of_steps else None
        values = self.compute(np.concatenate([rewards.values for rewards in scored], 1))
        return Rewards(values, steps and tuple(map(self.compute, steps)))


def select_attribute(reward: Reward, attribute: str) -> Derived:
    """Keep one attribute of a reward that has several, of its steps too."""
    at = reward.attributes.index(attribute)
    name = f"{reward.name}[{attribute}]"
    return Derived(name, attribute, (reward,), (attribute,), lambda values: values[:, [at]], True)


def transform_reward(
    reward: Reward, transform: str, options: Mapping[str, Any] | None = None
) -> Derived:
    """Take a reward, attribute by attribute, through a function that is the same for every answer.

    Args:
        reward: what is transformed.
        transform: name in `TRANSFORMS`.
        options: of the transform.
    """
    given = options or {}
    return Derived(
        _call(transform, reward, given),
        transform,
        (reward,),
        reward.attributes,
        lambda values: TRANSFORMS[transform](values, **given),
    )


def combine_rewards(
    rewards: tuple[Reward, ...],
    how: Literal["sum", "mean", "min", "max"] = "sum",
    weights: tuple[float, ...] = (),
) -> Derived:
    """Make one number of several rewards; each of their attributes is a term.

    Args:
        rewards: one at least.
        how: what the weighted terms give, which is the attribute's name too.
        weights: of the rewards, in their order; 1 each where there are none.
    """
    factors = weights or (1.0,) * len(rewards)
    terms = [*map(_term, rewards, factors)]
    is_sum = how == "sum" and (weights or len(terms) > 1)
    name = " + ".join(terms).replace("+ -", "- ") if is_sum else f"{how}({', '.join(terms)})"
    columns = np.repeat(factors, [len(reward.attributes) for reward in rewards])

    def combine(values: Floats) -> Floats:
        # Infinity minus infinity is no number: `score_answers` refuses it and names the prompt.
        with np.errstate(invalid="ignore"):
            combined: Floats = COMBINATIONS[how](columns * values, axis=1, keepdims=True)
            return combined

    return Derived(name, how, rewards, (how,), combine)


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A reward set against what a reference policy's own answers to the same prompt get.

    Args:
        reward: what is calibrated, attribute by attribute.
        calibration: name in `CALIBRATIONS`.
        options: of the calibration.
        at: a reward that stands for the reference's, instead of its answers.
        text: an answer, such as a refusal, whose reward stands for the reference's.
        over: rewards of the same prompt alone, or of all prompts where a reward has one scale for
            all (a rule has, a Bradley-Terry model has not).
        references: rewards of the reference's answers by prompt, float64 `[K, attributes]` each;
            see `with_reference_answers`.
    """

    reward: Reward
    calibration: str
    options: Mapping[str, Any] = field(default_factory=dict)
    at: float | None = None
    text: str | None = None
    over: Literal["prompt", "all"] = "prompt"
    references: Mapping[Text, Floats] | None = None

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with sampled answers."""
        return self.at is None and self.text is None

    @property
    def name(self) -> str:
        """The expression that makes it, with the options that are not the usual ones."""
        over = None if self.over == "prompt" else self.over
        source = {"at": self.at, "text": self.text, "over": over}
        unusual = {key: value for key, value in source.items() if value is not None}
        return _call(self.calibration, self.reward, {**self.options, **unusual})

    @property
    def description(self) -> str:
        """What is calibrated, how, and against how much."""
        if self.at is not None:
            against = f"{self.at:g}"
        elif self.text is not None:
            against = f"the answer {self.text!r}"
        elif self.references is None:
            against = "answers of the reference"
        else:
            least = min(map(len, self.references.values()))
            few = self.over == "prompt" and least < REFERENCE_ANSWERS
            noisy = ", so few that it is noisy" if few else ""
            against = f"{least} answers of the reference to each prompt{noisy}"
        return f"{self.calibration} of: {self.reward.description}; against {against}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those of the reward."""
        return self.reward.attributes

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch and calibrate, prompt by prompt.

        Raises:
            UserError: the reference's answers are missing, or too few.
        """
        values = score_answers(self.reward, answers).values
        calibrated = np.empty_like(values)
        rows_of = rows_by_prompt(answers)
        for rows, references in zip(rows_of.values(), self._references([*rows_of]), strict=True):
            for column, reference in enumerate(references.T):
                # Ranks take infinite rewards, moments would become infinite with them.
                ranked = self.calibration == "cdf"
                usable = reference if ranked else reference[np.isfinite(reference)]
                if len(usable) < (2 if self.needs_reference else 1):
                    raise self._refused(f"{len(usable)} rewards of the reference are too few")
                calibrated[rows, column] = CALIBRATIONS[self.calibration](
                    values[rows, column], usable, **self.options
                )
        return Rewards(calibrated)

    def _references(self, prompts: Sequence[Text]) -> Sequence[Floats]:
        """Return rewards that stand for the reference's, `[K, attributes]` to each prompt."""
        if self.at is not None:
            return [np.full((1, len(self.attributes)), self.at)] * len(prompts)
        if self.text is not None:
            answers = [Answer(prompt, self.text) for prompt in prompts]
            return list(score_answers(self.reward, answers).values[:, None])
        known = self.references or {}
        if self.over == "all" and known:
            return [np.concatenate([*known.values()])] * len(prompts)
        if not known.keys() >= set(prompts):
            raise self._refused("no answer of the reference policy to a prompt is known")
        return [known[prompt] for prompt in prompts]

    def _refused(self, message: str) -> UserError:
        return UserError(
            f"{message}.",
            where=f"reward {self.name}",
            mend="Sample at least two answers a prompt from the reference, compare with one reward "
            "(at=NUMBER) or one answer (text='...'), or with all prompts together (over=all).",
        )


def compares(reward: Reward) -> bool:
    """Return whether a reward, or one inside it, compares with the reference's own answers."""
    if isinstance(reward, Calibrated):
        return reward.needs_reference or compares(reward.reward)
    return isinstance(reward, Derived) and any(map(compares, reward.rewards))


def with_reference_answers(reward: Reward, answers: Sequence[Answer]) -> Reward:
    """Give a reward the reference policy's own answers, wherever it compares with them.

    Args:
        reward: any; one that compares with nothing comes back as it is.
        answers: of the reference policy, several to every prompt that will be asked.
    """
    if isinstance(reward, Derived):
        inner = tuple(with_reference_answers(part, answers) for part in reward.rewards)
        return replace(reward, rewards=inner)
    if not isinstance(reward, Calibrated):
        return reward
    # From the inside out: what is calibrated may itself compare with the reference.
    calibrated = with_reference_answers(reward.reward, answers)
    references = None
    if reward.needs_reference:
        values = score_answers(calibrated, answers).values
        references = {prompt: values[rows] for prompt, rows in rows_by_prompt(answers).items()}
    return replace(reward, reward=calibrated, references=references)


def _term(reward: Reward, weight: float) -> str:
    """Write a weighted reward; a sum inside a sum keeps its parentheses."""
    if weight == 1:
        return reward.name
    is_combined = isinstance(reward, Derived) and reward.function in COMBINATIONS
    inner = f"({reward.name})" if is_combined else reward.name
    return f"-{inner}" if weight == -1 else f"{weight:g}*{inner}"


def _call(function: str, reward: Reward, options: Mapping[str, Any]) -> str:
    # Only the answer's text needs quotes: it may hold what the grammar gives a meaning.
    given = [
        f"{key}={value!r}" if key == "text" else f"{key}={value}" for key, value in options.items()
    ]
    return f"{function}({', '.join([reward.name, *given])})"
