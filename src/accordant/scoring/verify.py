"""A model proves itself before it is scored: packed trees against one sequence at a time.

Knows the engine and its slow reference. Random trees of a few hundred tokens are enough: a layer
that ignores the tree's mask or positions changes the hidden states at once. What a model cannot do
together it is not asked for: its sequences are then computed apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.models.facts import position_limit, text_config
from accordant.models.hooks import backbone_of
from accordant.scoring.apart import plain_logps, reset_rope, sharing_of
from accordant.scoring.distributions import next_token_logps
from accordant.scoring.engine import ScoreOptions, evaluating, score
from accordant.scoring.scores import Scores
from accordant.tokens.trees import TokenTree

# Prompt and continuations of each tree: short beside long, and longer than WINDOW.
SHAPES = ((5, (3, 6)), (40, (20, 2)), (9, (4, 1, 7)), (3, (30,)))
# A sliding window is this long in the trial, so that trees of 60 tokens are longer than it.
WINDOW = 8
# Differences are explained by so many units in the last place, for every two roundings of a layer
# added up at random; above LOOSEST nothing is.
UNITS, LOOSEST = 64, 8e-2
# Other tokens in the neighbours leave every product of a score as it was, so that the same numbers
# come back but where experts are grouped anew. Units in the last place.
LEAK = 0.5


@torch.no_grad()
def verify_model(model: nn.Module) -> None:
    """Find out how the sequences of a model can be computed, and let the engine do so.

    First as trees in a row, where nothing speaks against it; then apart, in batches of unequal and
    then of equal length.

    Raises:
        UserError: none of them gives the model's own scores.
    """
    base = base_model_of(model)
    if next(base.parameters()).device.type == "meta":
        return
    sharing, fault = sharing_of(model), ""
    with evaluating(model), _short_windows(base):
        trees, others = _trees(base)
        plain = _plain_scores(model, trees)
        if _looks_ahead(base, trees[0]):
            raise _refusal(base, "changes at its beginning with what comes after")
        base._accordant_sharing = sharing = replace(
            sharing, own_head=_bends_logits(base, plain, trees)
        )
        if not sharing.reason:
            fault = _fault(model, trees, others, plain)
            if not fault:
                return
            sharing = replace(sharing, reason=f"scored as a tree it {fault}")
        for padded in (True, False):
            base._accordant_sharing = replace(sharing, padded=padded)
            fault = _fault(model, trees, others, plain)
            if not fault:
                return
    raise _refusal(base, fault)


def _refusal(base: Any, fault: str) -> UserError:
    return UserError(
        f"{type(base).__name__} cannot be scored: computed by itself, a sequence {fault}.",
        mend="The model must predict every token from those before it alone, by a head on its last "
        "hidden states. If it does, report the family.",
    )


def _trees(base: Any) -> tuple[list[TokenTree], list[TokenTree]]:
    """Draw trees, and others of their shape that share the first continuation of each alone."""
    embeddings = base.get_output_embeddings() or base.get_input_embeddings()
    generator = torch.Generator().manual_seed(0)
    limit = position_limit(base) or 2**31

    def draw(count: int) -> tuple[int, ...]:
        ids = torch.randint(0, embeddings.weight.shape[0], (count,), generator=generator)
        return tuple(ids.tolist())

    trees, others = [], []
    for prompt, lengths in SHAPES:
        if prompt + max(lengths) <= limit:
            tree = TokenTree(draw(prompt), tuple(map(draw, lengths)))
            trees.append(tree)
            siblings = tuple(map(draw, lengths[1:]))
            others.append(TokenTree(tree.prompt, (tree.continuations[0], *siblings)))
    return trees, others


@contextmanager
def _short_windows(base: Any) -> Iterator[None]:
    """Shorten sliding windows inside the block, for the model's own masks and the engine's alike.

    A trial longer than a real window, of thousands of tokens, would cost more than it tells.
    """
    shortened = [(text_config(base), getattr(text_config(base), "sliding_window", None))]
    shortened += [(module, getattr(module, "sliding_window", None)) for module in base.modules()]
    shortened = [(owner, size) for owner, size in shortened if type(size) is int and size > WINDOW]
    try:
        for owner, _ in shortened:
            owner.sliding_window = WINDOW
        yield
    finally:
        for owner, size in shortened:
            owner.sliding_window = size


def _plain_scores(model: nn.Module, trees: Sequence[TokenTree]) -> tuple[Tensor, Tensor | None]:
    """Return the states that predict each continuation, and its log-probs, by plain calls."""
    base = base_model_of(model)
    device, backbone = next(base.parameters()).device, backbone_of(base)
    states = []
    for tree in trees:
        for continuation in tree.continuations:
            reset_rope(backbone)
            ids = torch.tensor([tree.prompt + continuation], device=device)
            states.append(backbone(input_ids=ids, use_cache=False)[0][0, len(tree.prompt) - 1 : -1])
    if base.get_output_embeddings() is None:
        return torch.cat(states), None
    logps = [part for tree in trees for part in plain_logps(model, tree)]
    return torch.cat(states), torch.cat(logps)


def _looks_ahead(base: Any, tree: TokenTree) -> bool:
    """Tell whether a token's state depends on those behind it."""
    ids = torch.tensor([tree.prompt + tree.continuations[0]], device=base.device)
    count, backbone = len(tree.prompt), backbone_of(base)
    long, short = (backbone(input_ids=part, use_cache=False)[0] for part in (ids, ids[:, :count]))
    return not _relative(long[:, :count], short) <= _tolerance(base)


def _bends_logits(
    base: Any, plain: tuple[Tensor, Tensor | None], trees: Sequence[TokenTree]
) -> bool:
    """Tell whether the head does more with the states than the engine knows, such as BERT's."""
    hidden, logps = plain
    if logps is None:
        return False
    targets = [token for tree in trees for run in tree.continuations for token in run]
    ours = next_token_logps(base, hidden)[range(len(targets)), targets]
    return not _relative(ours, logps) <= _tolerance(base)


def _fault(
    model: nn.Module,
    trees: Sequence[TokenTree],
    others: Sequence[TokenTree],
    plain: tuple[Tensor, Tensor | None],
) -> str:
    """Say how the engine's scores, computed as `sharing_of` says, are not the model's own."""
    hidden, logps = plain
    options = ScoreOptions(hidden=True, logps=logps is not None)
    try:
        scores = score(model, trees, options)
        beside = score(model, others, options)
    except (TypeError, ValueError, RuntimeError, AttributeError, LookupError, UserError) as error:
        # A layer that stumbles over the row is as good a reason as a wrong score.
        return f"fails ({' '.join(str(error).split())[:120]})"
    assert scores.hidden is not None
    limit = _tolerance(model)
    errors = [_relative(scores.hidden, hidden)]
    if logps is not None:
        errors.append(_relative(scores.logps, logps))
    if not max(errors) <= limit:
        return (
            f"differs from itself by plain transformers (by {max(errors):.2g}, relative; allowed "
            f"{limit:.2g})"
        )
    leak = _leak(scores, beside)
    allowed = LEAK * torch.finfo(hidden.dtype).eps
    if not leak <= allowed:
        return f"depends on its neighbours (by {leak:.2g}, relative; allowed {allowed:.2g})"
    return ""


def _leak(scores: Scores, beside: Scores) -> float:
    """Measure how far the first continuations' states moved with their neighbours' tokens."""
    firsts = [int(tree) for tree in scores.tree]
    chosen = torch.tensor([firsts.index(tree) for tree in sorted(set(firsts))])
    ours, theirs = (each.select(chosen.to(each.lengths.device)).hidden for each in (scores, beside))
    assert ours is not None
    assert theirs is not None
    return _relative(theirs, ours)


def _tolerance(model: nn.Module) -> float:
    """Return the relative difference that rounding explains in this model's number format."""
    base = base_model_of(model)
    parameter = next(base.parameters())
    unit = torch.finfo(parameter.dtype).eps
    is_rough = torch.get_float32_matmul_precision() != "highest"
    if parameter.is_cuda and is_rough and parameter.dtype == torch.float32:
        # TensorFloat-32 multiplies with ten bits.
        unit = 2.0**-10
    layers = getattr(text_config(base), "num_hidden_layers", None) or 1
    return min(LOOSEST, UNITS * unit * (2 * layers) ** 0.5)


def _relative(values: Tensor, expected: Tensor) -> float:
    values, expected = values.float(), expected.float()
    return float((values - expected).norm() / expected.norm().clamp_min(1e-12))
