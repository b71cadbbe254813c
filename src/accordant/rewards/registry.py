"""Named rewards: functions registered by a decorator, or read from a user's Python file.

Knows functions and files. Knows no rule and no model. A function that scores one text a call and
one that scores a batch become the same thing here, a `FunctionReward`.
"""

from __future__ import annotations

import inspect
import math
import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from accordant.base.errors import UserError
from accordant.rewards.reward import Answer, Reward, Rewards, failure, place_of, refusal

ScoreText = Callable[[str, str, bool], float]
"""The prompt, the answer, and whether the model ended the answer itself."""
ScoreBatch = Callable[[Sequence[Answer]], Any]
"""Answers to numbers `[n]` or `[n, attributes]`, or to `Rewards`."""

BATCH = "answers"
"""Name of the one parameter of a function that scores a batch."""


@dataclass(frozen=True, slots=True)
class FunctionReward:
    """A reward made of a function.

    Args:
        name: how it is chosen and reported.
        description: what it scores, one sentence without a full stop.
        function: scores one text a call, or a batch where its parameter is called `answers`.
        attributes: names of what it returns of each answer.
    """

    name: str
    description: str
    function: ScoreText | ScoreBatch
    attributes: tuple[str, ...] = ("reward",)

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch.

        Raises:
            UserError: the function failed or returned no number; says on which prompt.
        """
        if not _scores_batches(self.function):
            return Rewards(np.array([[self._score_text(answer)] for answer in answers]))
        returned = self.function(answers)  # type: ignore[call-arg, arg-type]
        if isinstance(returned, Rewards):
            return returned
        values = np.asarray(returned, dtype=np.float64)
        return Rewards(values[:, None] if values.ndim == 1 else values)

    def _score_text(self, answer: Answer) -> float:
        try:
            score = self.function(answer.prompt_text, answer.text, answer.finished)  # type: ignore[call-arg, arg-type]
        except Exception as error:
            raise failure(self.name, (answer,), error) from error
        try:
            # float() would read text such as "0.5", which is an answer of a judge, not its score.
            number = math.nan if isinstance(score, str) else float(score)
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number):
            raise refusal(self.name, answer, score)
        return number


REWARDS: dict[str, FunctionReward] = {}


def register_reward(
    name: str, description: str, attributes: tuple[str, ...] = ("reward",)
) -> Callable[[Any], Any]:
    """Register a function `(prompt, text, finished)` or `(answers)` as the reward `name`.

    Raises:
        ValueError: the name is taken.
    """

    def register(function: Any) -> Any:
        if name in REWARDS:
            raise ValueError(f"there is already a reward named {name!r}")
        REWARDS[name] = FunctionReward(name, description, function, attributes)
        return function

    return register


def list_rewards() -> tuple[FunctionReward, ...]:
    """List the registered rewards by name; loads no model."""
    import_module("accordant.rewards.rules")  # which registers them
    return tuple(REWARDS[name] for name in sorted(REWARDS))


def reward_from_file(path: Path, name: str) -> Reward:
    """Load a function, or an object that is a `Reward`, from a user's Python file.

    Raises:
        UserError: there is no such file or name, the file cannot be run, or the function takes
            other arguments.
    """
    where = f"{path}:{name}"
    if not path.is_file():
        raise UserError("there is no such file.", where=where, mend="Check the path.")
    try:
        scorer = runpy.run_path(str(path), run_name=f"accordant_reward_{path.stem}").get(name)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"running the file failed with {type(error).__name__}: {error}{place_of(error)}",
            where=where,
            mend="Mend the file; it must run without errors when imported.",
        ) from error
    if isinstance(scorer, Reward):
        return scorer
    if not callable(scorer):
        raise UserError(f"the file has no function {name!r}.", where=where)
    if not _scores_batches(scorer):
        try:
            inspect.signature(scorer).bind("prompt", "text", True)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{name} cannot be called with three arguments ({error}).",
                where=where,
                mend=f"Define it as `def {name}(prompt, text, finished)` returning a number, or "
                f"as `def {name}({BATCH})` returning one for each.",
            ) from error
    # Reports show it; a function without a docstring is still somebody's reward.
    described = (inspect.getdoc(scorer) or "a function of the user's").strip().splitlines()[0]
    return FunctionReward(where, described.rstrip("."), scorer)


def _scores_batches(function: Callable[..., Any]) -> bool:
    """Return whether a function takes a batch: its one parameter is called `answers`."""
    try:
        return [*inspect.signature(function).parameters] == [BATCH]
    except (TypeError, ValueError):  # some builtins have no signature
        return False
