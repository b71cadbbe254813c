"""The registry of objectives: frozen records, filled by a decorator.

Knows names, signatures and docstrings. Never imports torch, so that listing objectives is instant;
the losses themselves import it when they run.
"""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from accordant.base.errors import UserError, did_you_mean
from accordant.base.options import Value, bind_values, read_options
from accordant.base.settings import Option
from accordant.feedback.kinds import KINDS
from accordant.objectives.kind import ScoredKind
from accordant.objectives.kinds import SCORED_KINDS
from accordant.objectives.preparations import Preparation

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.inputs import LossOutput

Function = TypeVar("Function", bound="Callable[..., LossOutput]")

# What the engine can give beside log-probabilities, by its name in `scoring.Scores`.
READABLE = ("entropy", "hidden", "values")

# Options that several losses have; a docstring that says more of one beats the text here.
Beta = Annotated[
    float,
    Field(
        gt=0.0,
        description="strength of the pull towards the reference; larger stays nearer to it.",
    ),
]

_registered: dict[str, Objective] = {}


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What is declared of a loss beside its function.

    Args:
        needs_reference: whether it reads the reference model's scores.
        paper: where it comes from.
        formula: the loss in plain text.
        feedback: record types it can be trained on, names of `feedback.kinds`; when empty the
            first of those whose usual scores it takes.
        name: as on the command line; the function's name when empty.
        slug: name of the published system in the catalogue; `name` with dashes when empty.
        batch_means: statistics over the whole batch, or None. `batch_means(inputs, **options)`
            returns float32 `[n, k]`: k numbers per example, NaN where one does not apply. Their
            averages over the global batch (every micro-batch of every process, NaN left out)
            reach the function as the keyword `means`, `[k]`, without gradient.
        labels: labels its examples may carry, `(False,)` for a loss on unwanted answers alone;
            empty where it does not ask for one.
        prepare: what its examples must have been given before it can run, in the order it is done.
        on_policy: whether its answers must be samples of the policy as it is: a loop gives them,
            a file of feedback cannot.
        reads: what it reads of the policy's scores beside log-probabilities, of `READABLE`.
    """

    needs_reference: bool
    paper: str
    formula: str
    feedback: str | tuple[str, ...] = ()
    name: str = ""
    slug: str = ""
    batch_means: Callable[..., Tensor] | None = None
    labels: tuple[bool, ...] = ()
    prepare: tuple[Preparation, ...] = ()
    on_policy: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Objective(Declaration):
    """One registered loss and all that is known of it without running it; nothing is left empty.

    Args:
        summary: first line of its docstring.
        inputs: record of scores it takes, one of `objectives.kinds`.
        options: what the user may set.
        function: the loss: `function(inputs, **options) -> LossOutput`.
    """

    feedback: tuple[str, ...]
    summary: str
    inputs: type[ScoredKind]
    options: tuple[Option, ...]
    function: Callable[..., LossOutput]


@dataclass(frozen=True, kw_only=True)
class objective(Declaration):  # noqa: N801 - a decorator, called like a function
    """Register the decorated function as an objective; the function itself is left as it is.

    Its first parameter takes the scores; keyword-only parameters are its options, with their help
    in their annotated types or in the docstring's `Args`, which wins.

    Raises:
        ValueError: the name is taken or misspelt, `feedback` names no record type, or `reads`
            nothing that can be read.
        TypeError: the function's signature cannot be read as above, or lacks an option that one of
            its preparations reads.
    """

    def __post_init__(self) -> None:
        for kind in _listed(self.feedback):
            if kind not in KINDS:
                raise ValueError(f"{kind!r} is not a record type; they are {', '.join(KINDS)}")
        for extra in self.reads:
            if extra not in READABLE:
                raise ValueError(f"{extra!r} is not among {', '.join(READABLE)}, which can be read")

    def __call__(self, function: Function) -> Function:
        """Register the function; see the class."""
        name, kinds = self.name or function.__name__, _listed(self.feedback)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r} is no name: use small letters, digits and underscores")
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        if not summary:
            raise TypeError(f"objective {name!r} needs a docstring")
        inputs = _inputs_of(function, *kinds[:1])
        options = read_options(function)
        types = {option.name: option.type_name for option in options}
        for need in self.prepare:
            if need.option and types.get(need.option) != need.option_type:
                raise TypeError(
                    f"objective {name!r} needs an option `{need.option}` ({need.option_type})"
                )
        taken = _registered.get(name)
        # The same function of the same file may come again: a notebook cell or a file re-run.
        if taken is not None and _source(taken.function) != _source(function):
            raise ValueError(f"the name {name!r} is taken by {_source(taken.function)[0]}")
        # Not `asdict`, which would make dicts of the preparations.
        completed = {
            "name": name,
            "slug": self.slug or name.replace("_", "-"),
            "feedback": kinds or inputs.feedback[:1],
        }
        _registered[name] = Objective(
            **{**vars(self), **completed},
            summary=summary,
            inputs=inputs,
            options=options,
            function=function,
        )
        return function


def get_objective(name: str) -> Objective:
    """Return the objective called `name`.

    Raises:
        UserError: there is none; names the nearest.
    """
    _load_losses()
    if name in _registered:
        return _registered[name]
    names = ", ".join(sorted(_registered))
    raise UserError(
        f"there is no objective {name!r}.",
        mend=did_you_mean(name, _registered, f"There are: {names}."),
    )


def list_objectives() -> tuple[Objective, ...]:
    """List the objectives that train a policy, sorted by name."""
    return tuple(entry for entry in _all() if "values" not in entry.reads)


def list_reward_losses() -> tuple[Objective, ...]:
    """List the objectives that train a reward, on values of its head, sorted by name."""
    return tuple(entry for entry in _all() if "values" in entry.reads)


def bind_options(objective: Objective, given: Mapping[str, object]) -> dict[str, Value]:
    """Check the user's options of `objective` and fill in the defaults.

    Numbers may be given as text (`"1e-3"`), as the command line and YAML do.

    Raises:
        UserError: an unknown option (names the nearest), a wrong type or a value out of range.
    """
    return bind_values(objective.function, given, where=f"objective {objective.name!r}")


def load_objective_file(path: str | Path) -> tuple[Objective, ...]:
    """Run a user's Python file and return the objectives it registers.

    The file is run with all the rights of this process, like any script.

    Raises:
        UserError: there is no such file, it fails, or it registers nothing.
    """
    _load_losses()
    file = Path(path).resolve()
    if not file.is_file() or file.suffix != ".py":
        raise UserError(
            "this is not a Python file.", where=str(path), mend="Give the path of a .py file."
        )
    # A file that fails half-way registers nothing.
    before = dict(_registered)
    try:
        # Not `__main__`: what a file does only when it is run as a program is not done here.
        runpy.run_path(str(file), run_name=f"accordant_user_objective_{file.stem}")
    except Exception as error:
        _restore(before)
        frames = traceback.extract_tb(error.__traceback__)
        # The last line of the file itself: the error may have been raised further down.
        lines = [frame.lineno for frame in frames if frame.filename == str(file)]
        if isinstance(error, SyntaxError):
            lines = [error.lineno]
        raise UserError(
            f"{type(error).__name__}: {error}",
            where=f"{path}, line {lines[-1]}" if lines else str(path),
            mend="Mend the file.",
        ) from error
    new = tuple(entry for name, entry in _registered.items() if entry is not before.get(name))
    if not new:
        raise UserError(
            "the file registers no objective.",
            where=str(path),
            mend="Put @objective(...) from accordant.objectives.registry on your loss.",
        )
    return new


@contextmanager
def temporary_objectives() -> Iterator[None]:
    """Forget what is registered inside: for notebooks and tests."""
    _load_losses()
    before = dict(_registered)
    try:
        yield
    finally:
        _restore(before)


def is_built_in(objective: Objective) -> bool:
    """Say whether the objective comes with accordant rather than from a user's file."""
    return objective.function.__module__.startswith("accordant.")


def _listed(feedback: str | tuple[str, ...]) -> tuple[str, ...]:
    return (feedback,) if isinstance(feedback, str) else feedback


def _load_losses() -> None:
    # When first asked for: the losses' files import the decorator from this one.
    for folder in ("losses", "reward_losses"):
        importlib.import_module(f"accordant.objectives.{folder}")


def _all() -> list[Objective]:
    _load_losses()
    return [_registered[name] for name in sorted(_registered)]


def _restore(before: Mapping[str, Objective]) -> None:
    _registered.clear()
    _registered.update(before)


def _source(function: Callable[..., Any]) -> tuple[str, str]:
    return inspect.getfile(function), function.__qualname__


def _inputs_of(function: Callable[..., Any], kind: str = "") -> type[ScoredKind]:
    """Find the record of scores that a loss takes: its annotation, or the usual one of `kind`."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind is first.KEYWORD_ONLY:
        raise TypeError("an objective's first parameter takes the scores")
    annotation = SCORED_KINDS.get(kind) if first.annotation is first.empty else first.annotation
    if isinstance(annotation, str):
        # The file's own names win; one it has for type checkers only is looked up in the kinds.
        known = {scored.__name__: scored for scored in SCORED_KINDS.values()}
        annotation = (known | function.__globals__).get(annotation.rpartition(".")[2])
    if not (isinstance(annotation, type) and issubclass(annotation, ScoredKind)):
        raise TypeError("annotate the first parameter with the record of scores it takes")
    return annotation
