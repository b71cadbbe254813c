"""Models that stand still beside the one that is trained: a reference, or a model to compare with.

Knows the engine, adapters and the cache of scores. Knows nothing of losses, steps or text.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from accordant.models.adapters import is_adapted, reference_mode
from accordant.models.identity import weights_identity
from accordant.models.precision import arithmetic
from accordant.models.settings import Precision
from accordant.scoring.engine import Policy, evaluating, score, score_all
from accordant.scoring.score_cache import ScoreCache, ScoreKey, cached_scores
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """A model that is scored and never trained, or what is kept of its scores.

    Args:
        source: the model, scored whenever it is asked for, or a cache of its scores.
        precision: arithmetic the model is scored in; says nothing where scores are kept.
        adapter: whether the model's adapter is part of it; off when False.
    """

    source: Policy | ScoreCache
    precision: Precision = "float32"
    adapter: bool = False

    def scores(self, examples: Sequence[Example]) -> Scores:
        """Return scores of all continuations of `examples`, in order, without gradients.

        They are on the model's device; kept ones are on the CPU.

        Raises:
            KeyError: an example is not among those whose scores are kept.
        """
        if isinstance(self.source, ScoreCache):
            return self.source.scores(examples)
        trees = [tree for example in examples for tree in example.trees]
        with _standing_still(self.source, self.precision, adapter=self.adapter):
            return score(self.source, trees).detach()


def freeze(model: nn.Module, precision: Precision = "float32") -> Frozen:
    """Return `model` as it is now, to be scored while the model itself is trained.

    With an adapter it is the model with its adapter off; without one it is a copy of the weights,
    which takes their memory once more.
    """
    if is_adapted(model):
        return Frozen(model, precision)
    return Frozen(copy.deepcopy(model).requires_grad_(requires_grad=False), precision)


def cache_scores(
    model: nn.Module,
    examples: Sequence[Example],
    *,
    folder: Path,
    tokenizer: str,
    rendering: str,
    precision: Precision,
    token_budget: int,
    adapter: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ScoreCache:
    """Score all `examples` under `model` as it stands, as far as the cache lacks them.

    Args:
        model: prepared by `scoring.install`.
        examples: training and held-out examples.
        folder: cache folder.
        tokenizer: fingerprint of the tokenizer.
        rendering: fingerprint of the chat template and rendering options.
        precision: number format of the run.
        token_budget: tokens of one pass.
        adapter: whether the model's adapter is part of it; off when False.
        progress: called with the number of examples done so far.
    """
    key = ScoreKey(
        model=weights_identity(model, base_only=True),
        adapter=weights_identity(model) if adapter and is_adapted(model) else "off",
        tokenizer=tokenizer,
        rendering=rendering,
        dtype=precision,
    )

    def scorer(trees: Sequence[TokenTree]) -> Scores:
        with _standing_still(model, precision, adapter=adapter):
            return score_all(model, trees, token_budget)

    return cached_scores(folder, key, examples, scorer, progress=progress)


@contextmanager
def _standing_still(policy: Policy, precision: Precision, *, adapter: bool) -> Iterator[None]:
    """Set evaluation mode without gradients inside the block, in the arithmetic of training."""
    if not isinstance(policy, nn.Module):
        with torch.no_grad():
            yield
        return
    mode = evaluating(policy) if adapter else reference_mode(policy)
    with torch.no_grad(), mode, arithmetic(policy, precision):
        yield
