"""The registry of objectives: a dict of frozen records, filled by a decorator.

Knows names, signatures and docstrings. Never imports torch, so that listing objectives is instant;
the losses themselves import it when they run.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
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
from accordant.objectives.kinds import SCORED_KINDS
from accordant.objectives.preparations import Preparation

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.inputs import LossOutput

Function = TypeVar("Function", bound="Callable[..., LossOutput]")

# Files of the built-in objectives, one per family.
FAMILIES = (
    "demonstration",
    "binary",
    "pairwise",
    "pairwise_links",
    "pairwise_anchored",
    "pairwise_reference_free",
    "pairwise_graded",
    "listwise",
    "lipo",
    "token",
    "policy_gradient",
    "derived",
)

# What the engine can give beside log-probabilities, by its name in `scoring.Scores`.
READABLE = ("entropy", "hidden", "values")

# The option that most losses have; a docstring that says more of it beats this.
Beta = Annotated[
    float,
    Field(
        gt=0.0,
        description="strength of the pull towards the reference; larger stays nearer to it.",
    ),
]

_registered: dict[str, Objective] = {}
_loaded_families: set[str] = set()


@dataclass(frozen=True, slots=True)
class Objective:
    """One registered loss and all that is known of it without running it.

    Args:
        name: as on the command line.
        slug: name of the published system in the catalogue; equals `name` unless stated.
        summary: first line of its docstring.
        feedback: record types it can be trained on, names of `feedback.kinds`.
        inputs: record of scores it takes, one of `objectives.kinds`.
        needs_reference: whether it reads the reference model's scores.
        paper: where it comes from.
        formula: the loss in plain text.
        options: what the user may set.
        function: the loss: `function(inputs, **options) -> LossOutput`.
        batch_means: statistics over the whole batch, or None. `batch_means(inputs, **options)`
            returns float32 `[n, k]`: k numbers per example, NaN where one does not apply. Their
            averages over the global batch (every micro-batch of every process, NaN left out)
            reach `function` as the keyword `means`, `[k]`, without gradient.
        labels: labels its examples may carry, `(False,)` for a loss on unwanted answers alone;
            empty where it does not ask for one.
        prepare: what its examples must have been given before it can run, in the order it is done.
        on_policy: whether its answers must be samples of the policy as it is: a loop gives them,
            a file of feedback cannot.
        reads: what it reads of the policy's scores beside log-probabilities, of `READABLE`.
    """

    name: str
    slug: str
    summary: str
    feedback: tuple[str, ...]
    inputs: type
    needs_reference: bool
    paper: str
    formula: str
    options: tuple[Option, ...]
    function: Callable[..., LossOutput]
    batch_means: Callable[..., Tensor] | None = None
    labels: tuple[bool, ...] = ()
    prepare: tuple[Preparation, ...] = ()
    on_policy: bool = False
    reads: tuple[str, ...] = ()


def objective(
    *,
    name: str,
    feedback: str | tuple[str, ...],
    needs_reference: bool,
    paper: str,
    formula: str,
    batch_means: Callable[..., Tensor] | None = None,
    slug: str | None = None,
    labels: tuple[bool, ...] = (),
    prepare: tuple[Preparation, ...] = (),
    on_policy: bool = False,
    reads: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Register the decorated function as an objective; the function itself is left as it is.

    Its first parameter takes the scores; keyword-only parameters are its options, with their help
    in the docstring's `Args`. The fields are those of `Objective`.

    Raises:
        ValueError: the name is taken or misspelt, `feedback` names no record type, or `reads`
            nothing that can be read.
        TypeError: the function's signature cannot be read as above, or lacks an option that one of
            its preparations reads.
    """
    kinds = (feedback,) if isinstance(feedback, str) else feedback
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is not a record type; they are {', '.join(KINDS)}")
    for extra in reads:
        if extra not in READABLE:
            raise ValueError(f"{extra!r} is not among {', '.join(READABLE)}, which can be read")
    if not kinds:
        raise ValueError("an objective needs at least one type of feedback")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name: use small letters, digits and underscores")

    def register(function: Function) -> Function:
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        if not summary:
            raise TypeError(f"objective {name!r} needs a docstring")
        options = read_options(function)
        types = {option.name: option.type_name for option in options}
        for option, kind in ((o, k) for need in prepare for o, k in need.options.items()):
            if types.get(option) != kind:
                raise TypeError(f"objective {name!r} needs an option `{option}` ({kind})")
        _register(
            Objective(
                name=name,
                slug=slug or name.replace("_", "-"),
                summary=summary,
                feedback=kinds,
                inputs=_inputs_of(function, kinds[0]),
                needs_reference=needs_reference,
                paper=paper,
                formula=formula,
                options=options,
                function=function,
                batch_means=batch_means,
                labels=labels,
                prepare=prepare,
                on_policy=on_policy,
                reads=reads,
            )
        )
        return function

    return register


def get_objective(name: str) -> Objective:
    """Return the objective called `name`.

    Raises:
        UserError: there is none; names the nearest.
    """
    _load_families()
    if name in _registered:
        return _registered[name]
    names = ", ".join(sorted(_registered))
    raise UserError(
        f"there is no objective {name!r}.",
        mend=did_you_mean(name, _registered, f"There are: {names}."),
    )


def list_objectives() -> tuple[Objective, ...]:
    """List the registered objectives, sorted by name."""
    _load_families()
    return tuple(_registered[name] for name in sorted(_registered))


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
    _load_families()
    file = Path(path)
    if not file.is_file() or file.suffix != ".py":
        raise UserError(
            "this is not a Python file.", where=str(path), mend="Give the path of a .py file."
        )
    before = dict(_registered)
    try:
        _run_file(file.resolve())
    except Exception as error:
        _registered.clear()
        _registered.update(before)
        raise UserError(
            f"{type(error).__name__}: {error}", where=_line_of(error, file), mend="Mend the file."
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
    _load_families()
    before = dict(_registered)
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)


def is_built_in(objective: Objective) -> bool:
    """Say whether the objective comes with accordant rather than from a user's file."""
    return objective.function.__module__.startswith("accordant.")


def _register(entry: Objective) -> None:
    existing = _registered.get(entry.name)
    # The same function of the same file may come again: a notebook cell or a file that is re-run.
    if existing is not None and _source(existing) != _source(entry):
        raise ValueError(f"the name {entry.name!r} is taken by {_source(existing)[0]}")
    _registered[entry.name] = entry


def _source(entry: Objective) -> tuple[str, str]:
    return inspect.getfile(entry.function), entry.function.__qualname__


def _load_families() -> None:
    for family in FAMILIES:
        if family not in _loaded_families:
            importlib.import_module(f"accordant.objectives.{family}")
            _loaded_families.add(family)


def _inputs_of(function: Callable[..., Any], kind: str) -> type:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind is first.KEYWORD_ONLY:
        raise TypeError("an objective's first parameter takes the scores")
    annotation = first.annotation
    if annotation is first.empty:
        if kind not in SCORED_KINDS:
            raise TypeError(f"annotate the first parameter: {kind} records have no usual scores")
        annotation = SCORED_KINDS[kind].inputs
    if isinstance(annotation, str):
        name = annotation.rpartition(".")[2]
        known = {scored.inputs.__name__: scored.inputs for scored in SCORED_KINDS.values()}
        # The file's own names win; one it has for type checkers only is looked up here.
        known |= getattr(function, "__globals__", {})
        if name not in known:
            raise TypeError(f"{annotation!r} names no record of scores")
        annotation = known[name]
    if not isinstance(annotation, type):
        raise TypeError("annotate the first parameter with the record of scores it takes")
    return annotation


def _run_file(file: Path) -> None:
    name = f"accordant_user_objective_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {file}")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and annotations of the file look their module up by name while it runs.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


def _line_of(error: Exception, file: Path) -> str:
    """The file, with the line of it that failed where that is known."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{file}, line {error.lineno}"
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file.resolve()):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{file}, line {line}" if line else str(file)


__all__ = [
    "FAMILIES",
    "Beta",
    "Objective",
    "bind_options",
    "get_objective",
    "is_built_in",
    "list_objectives",
    "load_objective_file",
    "objective",
    "temporary_objectives",
]
