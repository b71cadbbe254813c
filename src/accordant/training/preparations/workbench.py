"""What a preparation is given: examples in two parts, and a workbench of what a run has.

Knows settings, records, examples and the model as it starts. Knows no preparation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accordant.objectives.preparations import Preparation
from accordant.tokens.examples import Example
from accordant.training.settings import TrainingSettings

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from accordant.feedback.loading import Feedback
    from accordant.objectives.registry import Objective
    from accordant.tokens.rendering import Rendering


@dataclass(frozen=True, slots=True)
class Parts:
    """Examples to learn from and examples to test on."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...] = ()

    @property
    def all(self) -> tuple[Example, ...]:
        """Both parts, one after the other."""
        return self.train + self.held_out

    def with_examples(self, examples: Sequence[Example]) -> Parts:
        """Divide as many examples as there are in `all` in the same way."""
        count = len(self.train)
        return Parts(tuple(examples[:count]), tuple(examples[count:]))


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a preparation may read and use; what a caller does not have is left at its default.

    Args:
        objective: who asks.
        options: its options, defaults included.
        settings: of the run.
        feedback: records of the training and, where there is one, of the held-out part;
            `Example.index` is the place in its own.
        tokenizer: of the policy; known from the plan on, as are the fields below.
        rendering: how records become text.
        max_tokens: tokens a prompt and one answer may have together; None for no limit.
        positions: the model's; None where it names no limit.
        stop_ids: tokens that end an answer.
        policy: gives the model as it stands before training, prepared for scoring; first called
            by the first preparation that needs it, so that those before have the memory.
        console: where a run says what takes long.
        memory: what `plan` leaves for `run`, by declaration, so that nothing is computed twice.
    """

    objective: Objective
    options: Mapping[str, Any]
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    feedback: tuple[Feedback, ...] = ()
    tokenizer: PreTrainedTokenizerBase | None = None
    rendering: Rendering | None = None
    max_tokens: int | None = None
    positions: int | None = None
    stop_ids: tuple[int, ...] = ()
    policy: Callable[[], nn.Module] | None = None
    console: Console | None = None
    memory: dict[Preparation, Any] = field(default_factory=dict)

    @contextmanager
    def showing(self, what: str) -> Iterator[Callable[[str], None]]:
        """Say on the console what takes a while; yields a function that changes the words."""
        from accordant.training.progress import phase

        if self.console is None:
            yield lambda _: None
        else:
            with phase(self.console, what) as show:
                yield show

    @contextmanager
    def start_model(self) -> Iterator[nn.Module]:
        """Give the policy as it starts: its adapter off, in the arithmetic of training."""
        from accordant.models.adapters import reference_mode
        from accordant.models.precision import arithmetic

        assert self.policy is not None, "whoever runs a preparation gives the model"
        model = self.policy()
        with reference_mode(model), arithmetic(model, self.settings.precision):
            yield model
