"""Passes: what checks read, declared by them and made once however many of them read it.

Knows check inputs and options. Knows no check and no verdict. A pass over a model says its cost
before any weight is loaded, so nothing here imports torch; `run` does, when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from accordant.base.options import read_options
from accordant.base.settings import Option
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.feedback.loading import Feedback

if TYPE_CHECKING:
    from accordant.tokens.rendering import Encoded

Need = Literal["held_out", "tokenizer", "model", "reference"]
Result = TypeVar("Result")


# Equal to nothing but itself: a pass is the key of its results, and a name may come twice.
@dataclass(frozen=True, slots=True, eq=False)
class Pass(Generic[Result]):
    """A computation over the inputs of checks, shared by all that declare it.

    Args:
        name: what a plan calls it; `{option}` stands for the value of an option.
        run: `run(inputs, **options) -> Result`. Its keyword-only parameters become options of every
            check that reads the pass. It raises `NotApplicableError` where the inputs say nothing.
        cost: tokens it puts through a model, one forward pass of one token counting 1 and its
            gradient 2 more: `cost(inputs, **options)`, with those options of the check that it
            names. None for what needs no model of its own.
        needs: what it reads besides the feedback. `model` and `reference` include the tokenizer.
        uses: what it reads besides, where it is there; it runs without it too.
        reads: passes that `run` reads in turn, whose tokens are counted with its own.

    Raises:
        ValueError: a need is not known, or a pass over a model does not say its cost.
    """

    name: str
    run: Callable[..., Result]
    cost: Callable[..., float] | None = None
    needs: tuple[Need, ...] = ()
    uses: tuple[Need, ...] = ()
    reads: tuple[Pass[Any], ...] = ()

    def __post_init__(self) -> None:
        if {*self.needs, *self.uses} - {*get_args(Need)}:
            raise ValueError(f"pass '{self.name}': {self.needs=} or {self.uses=} is no such thing")
        counted = self.cost is not None or self.reads
        if {"model", "reference"} & {*self.needs, *self.uses} and not counted:
            raise ValueError(f"pass '{self.name}' reads a model, so it must say what it costs")

    @property
    def options(self) -> tuple[Option, ...]:
        """What the user may set of it."""
        return list_options(self.run)

    def key(self, **options: Any) -> tuple[Any, ...]:
        """Return where its result with these options, defaults for the rest, stands in `shared`."""
        return self, *self._values(options).items()

    def read(self, inputs: CheckInputs, **options: Any) -> Result:
        """Return its result, made the first time it is asked for with these options.

        Raises:
            NotApplicableError: the inputs say nothing of it.
        """
        # Options are part of the key: whoever asks with others gets a result of their own.
        key = self.key(**options)
        if key not in inputs.shared:
            inputs.shared[key] = self.run(inputs, **self._values(options))
        result: Result = inputs.shared[key]
        return result

    def costs(self, inputs: CheckInputs, options: Mapping[str, Any]) -> dict[str, float]:
        """Count tokens through models, of the passes it reads and its own, by name; no zeros.

        Args:
            inputs: without models.
            options: of the check that reads it.
        """
        total: dict[str, float] = {}
        for other in self.reads:
            total |= other.costs(inputs, options)
        values = {**options, **self._values(options)}
        tokens = 0.0
        if self.cost is not None:
            # A cost may depend on options of the check, such as how many rows are listed.
            names = values.keys() & signature(self.cost).parameters.keys()
            tokens = self.cost(inputs, **{name: values[name] for name in names})
        return total | ({self.name.format(**values): tokens} if tokens else {})

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {option.name: given.get(option.name, option.default) for option in self.options}


@cache
def list_options(function: Callable[..., Any]) -> tuple[Option, ...]:
    """Read the options of a pass or a check from its keyword-only parameters, once."""
    return read_options(function)


def count_tokens(inputs: CheckInputs) -> float:
    """Count the tokens of one forward pass over the feedback, prompts counted once."""
    examples = () if inputs.encoded is None else inputs.encoded.examples
    return float(sum(example.num_tokens for example in examples))


def _held_out(inputs: CheckInputs) -> Feedback:
    if inputs.held_out is None:
        raise NotApplicableError("there is no held-out feedback")
    return inputs.held_out


def _tokens(inputs: CheckInputs) -> Encoded:
    if inputs.encoded is None:
        raise NotApplicableError("there is no model whose tokens could be looked at")
    return inputs.encoded


HELD_OUT = Pass("held-out feedback", _held_out, needs=("held_out",))
TOKENS = Pass("tokens", _tokens, needs=("tokenizer",))
