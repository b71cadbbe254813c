"""Named rewards: functions registered by a decorator, or read from a user's Python file.

Knows functions and files. Knows no rule and no model. A function that scores one text a call and
one that scores a batch become the same thing here, a `FunctionReward`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from accordant.base.errors import UserError
from accordant.rewards.reward import Answer, Reward, Rewards, failure, place_of, refusal

ScoreText = Callable[[str, str, bool], float]
"""The prompt, the answer, and whether the model ended the answer itself."""
ScoreBatch = Callable[[Sequence[Answer]], Any]
"""Answers to numbers `[n]` or `[n, attributes]`, or to `Rewards`."""

FILES = ("rules",)
"""Files whose rewards are registered when they are imported."""

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
        if not scores_batches(self.function):
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
        if isinstance(score, str) or not _is_number(score):
            raise refusal(self.name, answer, score)
        return float(score)


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
    for file in FILES:
        importlib.import_module(f"accordant.rewards.{file}")
    return tuple(REWARDS[name] for name in sorted(REWARDS))


def scores_batches(function: Callable[..., Any]) -> bool:
    """Return whether a function takes a batch: its one parameter is called `answers`."""
    try:
        return [*inspect.signature(function).parameters] == [BATCH]
    except (TypeError, ValueError):  # some builtins have no signature
        return False


def reward_from_file(path: Path, name: str) -> Reward:
    """Load a function, or an object that is a `Reward`, from a user's Python file.

    Raises:
        UserError: there is no such file or name, the file cannot be run, or the function takes
            other arguments.
    """
    where = f"{path}:{name}"
    if not path.is_file():
        raise UserError("there is no such file.", where=where, mend="Check the path.")
    found = getattr(_run_file(path, where), name, None)
    if isinstance(found, Reward):
        return found
    if not callable(found):
        raise UserError(f"the file has no function {name!r}.", where=where)
    if not scores_batches(found):
        try:
            inspect.signature(found).bind("prompt", "text", True)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{name} cannot be called with three arguments ({error}).",
                where=where,
                mend=f"Define it as `def {name}(prompt, text, finished)` returning a number, or "
                f"as `def {name}({BATCH})` returning one for each.",
            ) from error
    described = (inspect.getdoc(found) or "a function of the user's").strip().splitlines()[0]
    return FunctionReward(where, described.rstrip("."), found)


def _run_file(path: Path, where: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"_accordant_reward_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise UserError("the file cannot be read as Python.", where=where)
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"running the file failed with {type(error).__name__}: {error}{place_of(error)}",
            where=where,
            mend="Mend the file; it must run without errors when imported.",
        ) from error
    return module


def _is_number(value: Any) -> bool:
    try:
        return not math.isnan(float(value))
    except (TypeError, ValueError):
        return False
