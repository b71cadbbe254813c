"""Rewards: batched functions from answers to numbers, higher is better.

Knows texts, token ids and arrays. Knows no model, no rule and no file: whoever wants a number for
an answer (best of n, a loop, a judge of win rates, a check, a suite) asks through `Reward.score`,
and `score_answers` is the one place that refuses what is no number.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from accordant.base.errors import UserError
from accordant.feedback.records import Text, flat

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from accordant.sampling.samples import Sample

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one prompt, as a reward reads it.

    Args:
        prompt: what was asked, a text or a conversation.
        text: the answer as a person would read it.
        finished: whether the model ended the answer itself; True where nothing else is known, as
            of answers that come with feedback.
        prompt_tokens: ids that the policy read; None where the answer was not sampled.
        tokens: ids that it wrote, the stop token included; None likewise.
    """

    prompt: Text
    text: str
    finished: bool = True
    prompt_tokens: tuple[int, ...] | None = None
    tokens: tuple[int, ...] | None = None

    @property
    def prompt_text(self) -> str:
        """The prompt as one text; roles are named where it has more than one message."""
        return flat(self.prompt)


@dataclass(frozen=True, slots=True, eq=False)
class Rewards:
    """Rewards of `n` answers.

    Args:
        values: float64 `[n, attributes]`; infinite ones are allowed, NaN is not.
        steps: of every answer float64 `[steps, attributes]` that sum to its row of `values`, for
            rewards that know which step or token earned what; None for all others.
    """

    values: Floats
    steps: tuple[Floats, ...] | None = None


@runtime_checkable
class Reward(Protocol):
    """A stated way to score answers.

    Attributes:
        name: how it is chosen and reported.
        description: what it scores, one sentence without a full stop.
        attributes: names of the columns of `Rewards.values`, one at least.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def description(self) -> str: ...  # noqa: D102

    @property
    def attributes(self) -> tuple[str, ...]: ...  # noqa: D102

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch; an answer's reward does not depend on the others of the batch."""
        ...


def read_answer(
    prompt: Text,
    sample: Sample,
    tokenizer: PreTrainedTokenizerBase,
    prompt_tokens: tuple[int, ...] | None = None,
) -> Answer:
    """Read a sampled continuation of `prompt` as a person would: its text, with its tokens."""
    text = str(tokenizer.decode(list(sample.tokens), skip_special_tokens=True))
    return Answer(prompt, text.strip(), sample.finished, prompt_tokens, sample.completion)


def score_answers(reward: Reward, answers: Sequence[Answer]) -> Rewards:
    """Score a batch and refuse what is no reward: another shape, NaN, text.

    Raises:
        UserError: the reward failed or returned no numbers; says on which prompt where it can.
    """
    if not answers:
        # No function has to know what shape nothing has.
        return Rewards(np.zeros((0, len(reward.attributes))))
    try:
        rewards = reward.score(answers)
    except UserError:
        raise
    # A reward is often the user's own function: whatever it raises is theirs to mend.
    except Exception as error:
        raise failure(reward.name, answers, error) from error
    expected = (len(answers), len(reward.attributes))
    if rewards.values.shape != expected:
        raise UserError(
            f"it returned numbers of shape {list(rewards.values.shape)}, expected one row for "
            f"each of {expected[0]} answers and one column for each of {expected[1]} attributes.",
            where=f"reward {reward.name}",
        )
    # NaN loses and wins no comparison, so it would pass for a tie.
    missing = np.isnan(rewards.values).any(1)
    if missing.any():
        raise refusal(reward.name, answers[int(missing.argmax())], float("nan"))
    return rewards


def score_single(reward: Reward, answers: Sequence[Answer]) -> Floats:
    """Return a number for every answer, float64 `[n]`, from a reward of a single attribute.

    Raises:
        UserError: the reward has several attributes, failed, or returned no numbers.
    """
    if len(reward.attributes) != 1:
        raise UserError(
            f"it has {len(reward.attributes)} attributes where one number is needed.",
            where=f"reward {reward.name}",
            mend=f"Choose one, as in {reward.name}[{reward.attributes[0]}], or join them: "
            f"sum({reward.name}), min({reward.name}) or mean({reward.name}).",
        )
    values: Floats = score_answers(reward, answers).values[:, 0]
    return values


def rows_by_prompt(answers: Sequence[Answer]) -> dict[Text, list[int]]:
    """Return the places of the answers to each prompt."""
    rows: dict[Text, list[int]] = {}
    for row, answer in enumerate(answers):
        rows.setdefault(answer.prompt, []).append(row)
    return rows


def refusal(name: str, answer: Answer, returned: object) -> UserError:
    """Make the error for what a reward returned of `answer` instead of a number."""
    return UserError(
        f"it returned {returned!r}, not a number.",
        where=f"reward {name}{_prompt_place(answer.prompt_text)}",
        mend="Return a finite number, higher for better answers.",
    )


def failure(name: str, answers: Sequence[Answer], error: Exception) -> UserError:
    """Make the error for a reward that failed on `answers`: names its line, and a single prompt."""
    prompts = {answer.prompt_text for answer in answers}
    place = _prompt_place(prompts.pop()) if len(prompts) == 1 else ""
    return UserError(
        f"it failed with {type(error).__name__}: {error}{place_of(error)}",
        where=f"reward {name}{place}",
        mend="A function (prompt, text, finished) returns a number, a function (answers) one for "
        "each of them.",
    )


def place_of(error: BaseException) -> str:
    """Return ` (line N of FILE).` where the error was raised, when it has a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})." if frames else "."


def _prompt_place(text: str) -> str:
    line = " ".join(text.split())
    return f", prompt {(line if len(line) <= 60 else line[:59] + '…')!r}"
