"""Options of an objective or a check: the keyword-only parameters of its function, as settings.

Knows signatures and docstrings; types, ranges and conversions are those of any settings. Knows
nothing of losses or scores, and never imports torch.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from accordant.base.errors import UserError, did_you_mean
from accordant.base.settings import Option, Settings, describe_field

Value = float | int | bool | str | None

# Passed by the trainer, not chosen by the user: see `registry.Objective.batch_means`.
RESERVED = frozenset({"means"})

# Annotate an option with one of these, or with `Annotated[float, Field(...)]` of its own.
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
HalfOpenHalf = Annotated[float, Field(ge=0.0, lt=0.5)]
Count = Annotated[int, Field(ge=1)]

_TYPES = ("number", "whole number", "true or false", "text")


def read_options(*functions: Callable[..., Any]) -> tuple[Option, ...]:
    """Return the options of functions: their keyword-only parameters but those the trainer passes.

    Raises:
        TypeError: an option has no default or no annotation, or its type is none of float, int,
            bool, str or a `Literal` of texts.
    """
    options = tuple(describe_field(name, field) for name, field in _fields(*functions).items())
    for option in options:
        if option.type_name not in _TYPES and not option.choices:
            raise TypeError(
                f"option {option.name!r} must be a float, int, bool, str or Literal of texts"
            )
    return options


def _fields(*functions: Callable[..., Any]) -> dict[str, FieldInfo]:
    return {k: field for function in functions for k, field in _fields_of(function).items()}


def _fields_of(function: Callable[..., Any]) -> dict[str, FieldInfo]:
    helps = _argument_helps(inspect.getdoc(function) or "")
    fields = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name in RESERVED:
            continue
        if parameter.default is parameter.empty or parameter.annotation is parameter.empty:
            raise TypeError(f"option {name!r} needs an annotation and a default")
        annotation = parameter.annotation
        if isinstance(annotation, str):
            # Postponed annotations are text until somebody needs them.
            annotation = eval(annotation, getattr(function, "__globals__", {}))
        # An annotated type may bring a help text of its own, which the docstring's beats.
        text: Any = {"description": helps[name]} if name in helps else {}
        field = Field(parameter.default, **text)
        fields[name] = FieldInfo.from_annotated_attribute(annotation, field)
    return fields


@functools.cache
def _model(*functions: Callable[..., Any]) -> type[Settings]:
    """Make the settings model of functions' options: only for those that someone sets."""
    fields: Any = {name: (field.annotation, field) for name, field in _fields(*functions).items()}
    return create_model(functions[0].__name__, __base__=Settings, **fields)


def bind_values(
    function: Callable[..., Any],
    given: Mapping[str, object],
    where: str,
    *others: Callable[..., Any],
) -> dict[str, Value]:
    """Check the user's values and fill in the defaults.

    Numbers and truth values may be given as text (`"1e-3"`, `"true"`): command lines give nothing
    else, and YAML reads `1e-3` as text.

    Args:
        function: what takes the options.
        given: option names and values.
        where: place named in errors.
        others: further functions, whose options come with its own.

    Returns:
        one value of the right type for every option.

    Raises:
        UserError: an unknown option, a value of the wrong type or out of range.
    """
    known = {option.name: option for option in read_options(function, *others)}
    for name in given:
        if name not in known:
            mend = did_you_mean(name, known, f"Its options: {', '.join(known) or 'none'}.")
            raise UserError(f"there is no option {name!r}.", where=where, mend=mend)
    try:
        return dict(_model(function, *others).model_validate(dict(given)))
    except ValidationError as error:
        option = known[str(error.errors()[0]["loc"][0])]
        raise UserError(
            f"option {option.name!r} is {given[option.name]!r}.",
            where=where,
            mend=f"Give {option.expects} (default {option.default}).",
        ) from None


def _argument_helps(docstring: str) -> dict[str, str]:
    """Return argument names and their texts from the `Args:` section of a docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if section is None:
        return {}
    body = inspect.cleandoc("\n" + section.group(1))
    entries = re.findall(r"^(\w+):((?:.*\n?)(?:[ \t]+.*\n?)*)", body, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
