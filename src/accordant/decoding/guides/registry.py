"""The registry of guides: a dict of frozen records, filled by a decorator.

Knows names, signatures and docstrings. Never imports torch, so that listing guides is instant.
Every module of this folder but this one holds guides, and is found by being there.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from accordant.base.discovery import load_modules, summarise_entry
from accordant.base.errors import UserError, did_you_mean
from accordant.base.options import bind_values, read_options
from accordant.base.settings import Option

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.sampling.stepper import GuideFunction

Function = TypeVar("Function", bound="Callable[..., Tensor]")

_registered: dict[str, Guide] = {}


@dataclass(frozen=True, slots=True)
class Guide:
    """One registered guide and all that is known of it without running it.

    Args:
        name: as on the command line.
        summary: first line of its docstring.
        models: the models it reads, in order; the last may come several times if it ends in `...`.
            The first is the model that is guided.
        paper: where it comes from.
        formula: what is drawn from, in plain text.
        options: what the user may set.
        function: `function(logits, **options) -> logits`, or `function(logits, state, **options)`:
            float32 `[rows, vocabulary]` of every model -> the same of what is drawn from.
    """

    name: str
    summary: str
    models: tuple[str, ...]
    paper: str
    formula: str
    options: tuple[Option, ...]
    function: Callable[..., Tensor]

    @property
    def several(self) -> bool:
        """Whether its last model may come several times."""
        return self.models[-1].endswith("...")


def guide(
    *, name: str, models: tuple[str, ...], paper: str, formula: str
) -> Callable[[Function], Function]:
    """Register the decorated function as a guide; the function itself is left as it is.

    Its keyword-only parameters are its options, with their help in the docstring's `Args`. The
    fields are those of `Guide`.

    Raises:
        ValueError: the name is taken.
        TypeError: there is no docstring, or an option cannot be read.
    """

    def register(function: Function) -> Function:
        known = _registered.get(name)
        summary = summarise_entry("guide", name, function, known.function if known else None)
        options = read_options(function)
        _registered[name] = Guide(name, summary, models, paper, formula, options, function)
        return function

    return register


def list_guides() -> tuple[Guide, ...]:
    """Return all registered guides, sorted by name."""
    package = importlib.import_module("accordant.decoding.guides")
    load_modules(package.__name__, package.__path__)
    return tuple(_registered[name] for name in sorted(_registered))


def bind_guide(name: str, models: int, given: Mapping[str, object] | None = None) -> GuideFunction:
    """Make the function that `Guided` takes of a guide and the user's options.

    Args:
        name: of a registered guide.
        models: how many models it will read.
        given: options; numbers may be text.

    Raises:
        UserError: there is no such guide, it reads another number of models, or an option is
            unknown or out of range.
    """
    known = {entry.name: entry for entry in list_guides()}
    if name not in known:
        raise UserError(
            f"there is no guide {name!r}.",
            mend=did_you_mean(name, known, f"There are: {', '.join(known)}."),
        )
    entry = known[name]
    least = len(entry.models)
    if models < least or (models > least and not entry.several):
        raise UserError(
            f"it reads {least}{' or more' if entry.several else ''} models, got {models}.",
            where=f"guide {name!r}",
            mend=f"Give, in this order: {', '.join(entry.models)}.",
        )
    options = bind_values(entry.function, given or {}, where=f"guide {name!r}")
    kinds = [p.kind for p in inspect.signature(entry.function).parameters.values()]
    if kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) > 1:
        return lambda logits, state: entry.function(logits, state, **options)
    return lambda logits, _: entry.function(logits, **options)
