"""Judges of generated answers: named functions from a prompt and an answer to a number.

Knows texts. Knows nothing of models or statistics. A judge is registered by its decorator, or read
from a user's Python file as `path.py:function`.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from accordant.base.errors import UserError
from accordant.rewards.rules import MAX_SENTENCES, MAX_WORDS, MIN_WORDS, concise_score

Score = Callable[[str, str, bool], float]


@dataclass(frozen=True, slots=True)
class Judge:
    """A stated way to score an answer; higher is better and equal scores are ties.

    Args:
        name: how it is chosen and reported.
        description: what it scores, one sentence without a full stop.
        score: function of the prompt, the answer and whether the model ended the answer itself.
    """

    name: str
    description: str
    score: Score


JUDGES: dict[str, Judge] = {}


def judge(name: str, description: str) -> Callable[[Score], Score]:
    """Register a function `(prompt, text, finished) -> float` as the judge `name`.

    Raises:
        ValueError: the name is taken.
    """

    def register(score: Score) -> Score:
        if name in JUDGES:
            raise ValueError(f"there is already a judge named {name!r}")
        JUDGES[name] = Judge(name, description, score)
        return score

    return register


@judge(
    "rule:concise",
    "the model ended the answer itself, with final punctuation, in at most "
    f"{MAX_SENTENCES} sentences and {MIN_WORDS} to {MAX_WORDS} words (1) or it did not (0)",
)
def score_concision(prompt: str, text: str, finished: bool) -> float:  # noqa: ARG001
    """1 for an answer that keeps the rule of the bundled feedback, 0 for any other."""
    return concise_score(text, finished)


@judge("shorter", "fewer words are better; an empty answer is worse than any other")
def score_brevity(prompt: str, text: str, finished: bool) -> float:  # noqa: ARG001
    """Minus the number of words; minus infinity for an empty answer."""
    words = len(text.split())
    return -float(words) if words else -math.inf


@judge("finished", "the model ended its answer itself (1) or was cut off (0)")
def score_ending(prompt: str, text: str, finished: bool) -> float:  # noqa: ARG001
    """1 for an answer that the model ended, 0 for one that reached the limit."""
    return float(finished)


def find_judge(name: str) -> Judge:
    """The registered judge `name`, or the one in a file when it reads `path.py:function`.

    Raises:
        UserError: there is no such judge, file or function, or the file cannot be run.
    """
    if name in JUDGES:
        return JUDGES[name]
    path, colon, function = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _judge_from_file(Path(path), function)
    raise UserError(
        f"there is no judge {name!r}.",
        where="option --judge",
        mend=f"Choose one of {', '.join(sorted(JUDGES))}, or a function of your own as "
        "path.py:function.",
    )


def apply_judge(judge: Judge, prompt: str, text: str, finished: bool) -> float:
    """The judge's score of one answer; infinite scores are allowed, NaN is not.

    Raises:
        UserError: the judge failed or returned no number; says on which prompt.
    """
    where = f"judge {judge.name}, prompt {_shortened(prompt)!r}"
    try:
        score = judge.score(prompt, text, finished)
    except Exception as error:
        raise UserError(
            f"it failed with {type(error).__name__}: {error}{_place(error)}",
            where=where,
            mend="A judge takes (prompt, text, finished) and returns a number.",
        ) from error
    if isinstance(score, str) or not _is_number(score):
        raise UserError(
            f"it returned {score!r}, not a number.",
            where=where,
            mend="Return a finite number, higher for better answers.",
        )
    return float(score)


def _judge_from_file(path: Path, function: str) -> Judge:
    where = f"judge {path}:{function}"
    if not path.is_file():
        raise UserError("there is no such file.", where=where, mend="Check the path.")
    found = getattr(_run_file(path, where), function, None)
    if not callable(found):
        raise UserError(f"the file has no function {function!r}.", where=where)
    try:
        inspect.signature(found).bind("prompt", "text", True)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{function} cannot be called with three arguments ({error}).",
            where=where,
            mend=f"Define it as `def {function}(prompt, text, finished)` returning a number.",
        ) from error
    described = (inspect.getdoc(found) or "a function of the user's").strip().splitlines()[0]
    return Judge(f"{path}:{function}", described.rstrip("."), found)


def _run_file(path: Path, where: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"_accordant_judge_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise UserError("the file cannot be read as Python.", where=where)
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"running the file failed with {type(error).__name__}: {error}{_place(error)}",
            where=where,
            mend="Mend the file; it must run without errors when imported.",
        ) from error
    return module


def _is_number(value: object) -> bool:
    try:
        return not math.isnan(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _place(error: BaseException) -> str:
    """` (line N of FILE)` where the error was raised, when it has a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})." if frames else "."


def _shortened(text: str, most: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
