"""Rewards made of rewards: one attribute, calibrated, transformed, several combined.

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
from accordant.rewards.reward import Answer, Reward, Rewards, score_answers
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


@dataclass(frozen=True, slots=True)
class Selected:
    """One attribute of a reward that has several."""

    reward: Reward
    attribute: str

    @property
    def name(self) -> str:
        """`helpsteer[helpfulness]`."""
        return f"{self.reward.name}[{self.attribute}]"

    @property
    def description(self) -> str:
        """What the whole reward scores, and which part this is."""
        return f"{self.attribute} of: {self.reward.description}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """The one."""
        return (self.attribute,)

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch and keep one column, of steps too."""
        at = self.reward.attributes.index(self.attribute)
        rewards = score_answers(self.reward, answers)
        steps = rewards.steps and tuple(step[:, [at]] for step in rewards.steps)
        return Rewards(rewards.values[:, [at]], steps)


@dataclass(frozen=True, slots=True)
class Transformed:
    """A reward through a function that is the same for every answer.

    Args:
        reward: what is transformed, attribute by attribute.
        transform: name in `TRANSFORMS`.
        options: of the transform.
    """

    reward: Reward
    transform: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`sigmoid(helpful)`."""
        return _call(self.transform, (self.reward,), self.options)

    @property
    def description(self) -> str:
        """What is transformed, and how."""
        return f"{self.transform} of: {self.reward.description}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those of the reward."""
        return self.reward.attributes

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch and transform."""
        values = score_answers(self.reward, answers).values
        return Rewards(TRANSFORMS[self.transform](values, **self.options))


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
        """`lsc(helpful)`, with the options that are not the usual ones."""
        over = None if self.over == "prompt" else self.over
        given = {"at": self.at, "text": self.text, "over": over}
        unusual = {key: value for key, value in given.items() if value is not None}
        return _call(self.calibration, (self.reward,), {**self.options, **unusual})

    @property
    def description(self) -> str:
        """What is calibrated, how, and against how much."""
        said = f"{self.calibration} of: {self.reward.description}"
        if self.at is not None:
            return f"{said}; against {self.at:g}"
        if self.text is not None:
            return f"{said}; against the answer {self.text!r}"
        if self.references is None:
            return f"{said}; against answers of the reference"
        least = min(map(len, self.references.values()))
        few = self.over == "prompt" and least < REFERENCE_ANSWERS
        noisy = ", so few that it is noisy" if few else ""
        return f"{said}; against {least} answers of the reference to each prompt{noisy}"

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
        for prompt, rows in _rows_by_prompt(answers).items():
            reference = self._reference(prompt)
            for column in range(values.shape[1]):
                calibrated[rows, column] = CALIBRATIONS[self.calibration](
                    values[rows, column], self._usable(reference[:, column]), **self.options
                )
        return Rewards(calibrated)

    def _reference(self, prompt: Text) -> Floats:
        """Return rewards that the reference stands for, `[K, attributes]`."""
        if self.at is not None:
            return np.full((1, len(self.attributes)), self.at)
        if self.text is not None:
            return score_answers(self.reward, [Answer(prompt, self.text)]).values
        known = self.references or {}
        if self.over == "all" and known:
            return np.concatenate([*known.values()])
        if prompt not in known:
            raise self._refused("no answer of the reference policy to a prompt is known")
        return known[prompt]

    def _usable(self, reference: Floats) -> Floats:
        """Select what a calibration can read: ranks take infinite rewards, moments do not."""
        finite = reference if self.calibration == "cdf" else reference[np.isfinite(reference)]
        if len(finite) < (2 if self.needs_reference else 1):
            raise self._refused(f"{len(finite)} rewards of the reference are too few")
        return finite

    def _refused(self, message: str) -> UserError:
        return UserError(
            f"{message}.",
            where=f"reward {self.name}",
            mend="Sample at least two answers a prompt from the reference, compare with one reward "
            "(at=NUMBER) or one answer (text='...'), or with all prompts together (over=all).",
        )


@dataclass(frozen=True, slots=True)
class Combined:
    """Several rewards as one number.

    Args:
        rewards: at least one; each of their attributes is a term.
        how: what the weighted terms give.
        weights: of the rewards, in their order; 1 each where there are none.
    """

    rewards: tuple[Reward, ...]
    how: Literal["sum", "mean", "min", "max"] = "sum"
    weights: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """`lsc(a) + 2*lsc(b)`, `min(a, b)`."""
        terms = [*map(_term, self.rewards, self._weights)]
        if self.how != "sum" or not (self.weights or len(terms) > 1):
            return f"{self.how}({', '.join(terms)})"
        return " + ".join(terms).replace("+ -", "- ")

    @property
    def description(self) -> str:
        """What is combined, and how."""
        return f"{self.how} of: {'; '.join(reward.description for reward in self.rewards)}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """The one number's name: how it came to be."""
        return (self.how,)

    @property
    def _weights(self) -> tuple[float, ...]:
        return self.weights or (1.0,) * len(self.rewards)

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch by every reward and combine."""
        terms = [
            weight * score_answers(reward, answers).values
            for reward, weight in zip(self.rewards, self._weights, strict=True)
        ]
        together = np.concatenate(terms, 1)
        # Infinity minus infinity is no number: `score_answers` refuses it and names the prompt.
        with np.errstate(invalid="ignore"):
            return Rewards(COMBINATIONS[self.how](together, axis=1, keepdims=True))


def compares(reward: Reward) -> bool:
    """Return whether a reward, or one inside it, compares with the reference's own answers."""
    match reward:
        case Selected() | Transformed():
            return compares(reward.reward)
        case Combined():
            return any(map(compares, reward.rewards))
        case Calibrated():
            return reward.needs_reference or compares(reward.reward)
        case _:
            return False


def with_reference_answers(reward: Reward, answers: Sequence[Answer]) -> Reward:
    """Give a reward the reference policy's own answers, wherever it compares with them.

    Args:
        reward: any; one that compares with nothing comes back as it is.
        answers: of the reference policy, several to every prompt that will be asked.
    """
    match reward:
        case Selected() | Transformed():
            return replace(reward, reward=with_reference_answers(reward.reward, answers))
        case Combined():
            parts = tuple(with_reference_answers(part, answers) for part in reward.rewards)
            return replace(reward, rewards=parts)
        case Calibrated():
            inner = with_reference_answers(reward.reward, answers)
            references = reference_rewards(inner, answers) if reward.needs_reference else None
            return replace(reward, reward=inner, references=references)
        case _:
            return reward


def reference_rewards(reward: Reward, answers: Sequence[Answer]) -> dict[Text, Floats]:
    """Score the reference policy's answers: float64 `[K, attributes]` by prompt."""
    values = score_answers(reward, answers).values
    return {prompt: values[rows] for prompt, rows in _rows_by_prompt(answers).items()}


def _rows_by_prompt(answers: Sequence[Answer]) -> dict[Text, list[int]]:
    rows: dict[Text, list[int]] = {}
    for row, answer in enumerate(answers):
        rows.setdefault(answer.prompt, []).append(row)
    return rows


def _term(reward: Reward, weight: float) -> str:
    if weight == 1:
        return reward.name
    inner = f"({reward.name})" if isinstance(reward, Combined) else reward.name
    return f"-{inner}" if weight == -1 else f"{weight:g}*{inner}"


def _call(function: str, rewards: Sequence[Reward], options: Mapping[str, Any]) -> str:
    given = [
        f"{key}={value!r}" if isinstance(value, str) and key == "text" else f"{key}={value}"
        for key, value in options.items()
    ]
    return f"{function}({', '.join([*(reward.name for reward in rewards), *given])})"
