"""What a check works on: feedback, its tokens, models, and results that several checks share.

Knows the records of the rooms below. Knows no check. Nothing here is loaded that no check asked
for: what a check needs is said in its registration, and who runs it puts that in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accordant.feedback.loading import Feedback

if TYPE_CHECKING:
    from accordant.rewards.reward import Reward
    from accordant.tokens.examples import Example
    from accordant.tokens.rendering import Encoded, Rendering


class NotApplicableError(Exception):
    """Raised by a check that cannot say anything of these inputs; its message says why."""


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """What a check may read; a field is there when the check named it in `needs`.

    Args:
        feedback: the records to check.
        held_out: the records that are not trained on.
        tokenizer: of the model.
        rendering: how records become text.
        encoded: the feedback in tokens, nothing cut. `Example.index` is the record's place in
            `feedback.records`; records that are in `too_long` or `refused` are not in it.
        too_long: records with more than `max_tokens` tokens: a model cannot read them whole.
        refused: why a record cannot become tokens, by its place.
        max_tokens: tokens a prompt and one continuation may have together, and a model can read;
            None where there is no limit.
        model: the model before training, or the trained one after it; ready for the engine.
        reference: what `model` came from, after training; ready for the engine.
        with_reference: whether there is a reference, known before it is loaded.
        reward: what sampled answers are judged by; higher is better.
        token_budget: tokens of one forward pass, for scoring.
        seed: of whatever is random.
        advance: called with the tokens that were worked on since the last call, so that progress
            shows.
        shared: results of passes, see `passes.Pass.read`.
    """

    feedback: Feedback
    held_out: Feedback | None = None
    tokenizer: Any = None
    rendering: Rendering | None = None
    encoded: Encoded | None = None
    too_long: tuple[Example, ...] = ()
    refused: Mapping[int, str] = field(default_factory=dict)
    max_tokens: int | None = None
    model: Any = None
    reference: Any = None
    # Costs are counted before weights are loaded, when `reference` is still None.
    with_reference: bool = False
    reward: Reward | None = None
    token_budget: int = 4096
    seed: int = 0
    advance: Callable[[int], None] = lambda _: None
    # One dict for all checks of a run, in a record that is frozen: so passes are made once.
    shared: dict[Any, Any] = field(default_factory=dict)
