"""The reference of a run: cached on disk, or computed within every step.

Knows models, adapters and the engine. Knows nothing of losses or steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from accordant.models.adapters import is_adapted, reference_mode
from accordant.models.identity import weights_identity
from accordant.models.settings import Precision
from accordant.scoring.engine import score, score_all
from accordant.scoring.reference_cache import CachedReference, ReferenceKey, cached_reference
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example


class OnlineReference:
    """Scores examples under the reference whenever they are asked for.

    With an adapter the reference is the model with its adapter off; without one it is a copy of the
    weights as they are now, which takes their memory once more.
    """

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        if is_adapted(model):
            self._model = model
        else:
            self._model = copy.deepcopy(model).requires_grad_(requires_grad=False)
        self._precision = precision

    def scores(self, examples: Sequence[Example]) -> Scores:
        """Scores of all continuations of `examples`, in order, on the model's device."""
        trees = [tree for example in examples for tree in example.trees]
        with reference_mode(self._model), arithmetic(self._model, self._precision):
            return score(self._model, trees).detach()


def prepare_reference(
    model: nn.Module,
    examples: Sequence[Example],
    *,
    folder: Path,
    tokenizer: str,
    rendering: str,
    precision: Precision,
    token_budget: int,
    progress: Callable[[int], None] | None = None,
) -> CachedReference:
    """Reference scores of all `examples`, computed as far as the cache lacks them.

    Call it before training: the reference is the model as it stands, with its adapter off.
    Arguments as for `prepare_scores`.
    """
    key = ReferenceKey(
        model=weights_identity(model, base_only=True),
        adapter="off",
        tokenizer=tokenizer,
        rendering=rendering,
        dtype=precision,
    )

    def scorer(trees: Sequence[Any]) -> Scores:
        with reference_mode(model), arithmetic(model, precision):
            return score_all(model, trees, token_budget)

    return cached_reference(folder, key, examples, scorer, progress=progress)


def prepare_scores(
    model: nn.Module,
    examples: Sequence[Example],
    *,
    folder: Path,
    tokenizer: str,
    rendering: str,
    precision: Precision,
    token_budget: int,
    progress: Callable[[int], None] | None = None,
) -> CachedReference:
    """Scores of all `examples` under a further frozen model, computed as far as the cache lacks.

    The model is taken as it stands: where it has an adapter, that is part of it.

    Args:
        model: prepared by `scoring.engine.install`.
        examples: training and held-out examples.
        folder: cache folder.
        tokenizer: fingerprint of the tokenizer.
        rendering: fingerprint of the chat template and rendering options.
        precision: number format of the run.
        token_budget: tokens of one pass.
        progress: called with the number of examples done so far.
    """
    key = ReferenceKey(
        model=weights_identity(model, base_only=True),
        adapter=weights_identity(model) if is_adapted(model) else "off",
        tokenizer=tokenizer,
        rendering=rendering,
        dtype=precision,
    )

    def scorer(trees: Sequence[Any]) -> Scores:
        with arithmetic(model, precision):
            return score_all(model, trees, token_budget)

    return cached_reference(folder, key, examples, scorer, progress=progress)


def arithmetic(model: nn.Module, precision: Precision) -> AbstractContextManager[Any]:
    """The arithmetic the trainer runs the model in."""
    if precision != "bf16-mixed":
        return nullcontext()
    device = next(model.parameters()).device
    return torch.autocast(device.type, torch.bfloat16)
