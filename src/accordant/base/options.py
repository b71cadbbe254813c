"""Options of an objective: read from its signature, checked against what the user gave.

Knows keyword-only parameters, their types, ranges and docstrings. Knows nothing of losses or
scores, and never imports torch.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from accordant.base.errors import UserError

Value = float | int | bool | str | None

# Passed by the trainer, not chosen by the user: see `registry.Objective.batch_means`.
RESERVED = frozenset({"means"})


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers an option may take; a bound that is None is open to infinity.

    Args:
        at_least: smallest allowed number.
        above: number the value must exceed.
        at_most: largest allowed number.
        below: number the value must stay under.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        bounds = (
            ("at least", self.at_least),
            ("above", self.above),
            ("at most", self.at_most),
            ("below", self.below),
        )
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


# Annotate an option with one of these, or with `Annotated[float, Range(...)]` of its own.
Positive = Annotated[float, Range(above=0.0)]
NonNegative = Annotated[float, Range(at_least=0.0)]
Fraction = Annotated[float, Range(at_least=0.0, at_most=1.0)]
HalfOpenHalf = Annotated[float, Range(at_least=0.0, below=0.5)]
Count = Annotated[int, Range(at_least=1)]


@dataclass(frozen=True, slots=True)
class Option:
    """One keyword-only parameter of an objective.

    Args:
        name: as written in configuration files and on the command line.
        type: float, int, bool or str.
        default: value taken when the user says nothing.
        help: its sentence in the docstring's `Args`.
        range: numbers it may take; unbounded when None.
        choices: texts it may take; any when empty.
        optional: whether it may be None.
    """

    name: str
    type: type[float | int | bool | str]
    default: Value
    help: str
    range: Range | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def expects(self) -> str:
        """What a value must be, in words: `a number above 0`."""
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        else:
            nouns = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
            words = f"{nouns[self.type]} {self.range or ''}".strip()
        return f"{words}, or none" if self.optional else words


def read_options(function: Callable[..., Any]) -> tuple[Option, ...]:
    """The options of `function`: its keyword-only parameters except those the trainer passes.

    Raises:
        TypeError: an option has no default or no annotation, or its type is none of float, int,
            bool, str or a `Literal` of texts.
    """
    helps = _argument_helps(inspect.getdoc(function) or "")
    options = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name in RESERVED:
            continue
        if parameter.default is parameter.empty or parameter.annotation is parameter.empty:
            raise TypeError(f"option {name!r} needs an annotation and a default")
        annotation = parameter.annotation
        if isinstance(annotation, str):
            annotation = eval(annotation, getattr(function, "__globals__", {}))
        options.append(_make_option(name, annotation, parameter.default, helps.get(name, "")))
    return tuple(options)


def bind_values(
    options: Iterable[Option], given: Mapping[str, object], where: str
) -> dict[str, Value]:
    """Check the user's values and fill in the defaults.

    Numbers and truth values may be given as text (`"1e-3"`, `"true"`): command lines give nothing
    else, and YAML reads `1e-3` as text.

    Args:
        options: what the objective takes.
        given: option names and values.
        where: place named in errors.

    Returns:
        one value of the right type for every option.

    Raises:
        UserError: an unknown option, a value of the wrong type or out of range.
    """
    known = {option.name: option for option in options}
    for name in given:
        if name not in known:
            taken = ", ".join(known) or "none"
            raise UserError(
                f"there is no option {name!r}.",
                where=where,
                mend=f"{suggest(name, known)}Its options: {taken}.",
            )
    return {
        name: _check(option, given[name], where) if name in given else option.default
        for name, option in known.items()
    }


def suggest(name: str, names: Iterable[str]) -> str:
    """`Did you mean 'dpo'? ` with the nearest of `names`, or nothing when none is near."""
    lowered = {known.lower(): known for known in names}
    near = get_close_matches(str(name).lower().replace("-", "_"), lowered, n=1, cutoff=0.5)
    return f"Did you mean {lowered[near[0]]!r}? " if near else ""


def _check(option: Option, value: object, where: str) -> Value:
    if option.optional and (value is None or str(value).lower() == "none"):
        return None
    converted = _convert(option.type, value)
    allowed = converted is not None
    if allowed and option.choices:
        allowed = converted in option.choices
    if allowed and option.range is not None:
        allowed = isinstance(converted, int | float) and converted in option.range
    if not allowed:
        raise UserError(
            f"option {option.name!r} is {value!r}.",
            where=where,
            mend=f"Give {option.expects} (default {option.default}).",
        )
    return converted


def _convert(kind: type, value: object) -> Value:
    """`value` as `kind`, or None when it cannot be read as one without loss."""
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        words = {"true": True, "false": False}
        return words.get(str(value).lower()) if isinstance(value, bool | str) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    if kind is int:
        return int(number) if number == int(number) else None
    return number


def _make_option(name: str, annotation: Any, default: Value, text: str) -> Option:
    limits: Range | None = None
    optional = False
    if get_origin(annotation) in (Union, UnionType):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        optional = len(inner) < len(get_args(annotation))
        if len(inner) == 1:
            annotation = inner[0]
    if get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        limits = next((note for note in notes if isinstance(note, Range)), None)
    choices: tuple[str, ...] = ()
    if get_origin(annotation) is Literal:
        choices, annotation = get_args(annotation), str
    if annotation not in (float, int, bool, str):
        raise TypeError(f"option {name!r} must be a float, int, bool, str or Literal of texts")
    return Option(name, annotation, default, text, limits, choices, optional)


def _argument_helps(docstring: str) -> dict[str, str]:
    """Argument names and their texts from the `Args:` section of a docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if section is None:
        return {}
    body = inspect.cleandoc("\n" + section.group(1))
    entries = re.findall(r"^(\w+):((?:.*\n?)(?:[ \t]+.*\n?)*)", body, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
