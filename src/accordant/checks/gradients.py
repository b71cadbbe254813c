"""How the gradients of a chosen and a rejected answer pull at each other.

Knows the engine, token trees and objectives. Knows nothing of files, texts or verdicts. g_w and g_l
are the gradients of an answer's summed log-probability with respect to some of the weights. d_w and
d_l are the slopes of the loss: minus its derivative with respect to the log-probability of the
chosen answer, and its derivative with respect to that of the rejected one. A small plain step on
the pair's own loss then changes the log-probabilities in proportion to

    chosen:   d_w ||g_w||^2 - d_l <g_w, g_l>
    rejected: d_w <g_w, g_l> - d_l ||g_l||^2

(Yuan et al. 2024, 'A Common Pitfall of Margin-based Language Model Alignment'). Other pairs of a
batch, momentum and Adam's scaling are not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.models.hooks import backbone_of, decoder_layers
from accordant.objectives.registry import Objective
from accordant.scoring.engine import ScoreOptions, evaluating, pack, score_packed
from accordant.scoring.frozen import Frozen
from accordant.scoring.residuals import head_products
from accordant.scoring.scores import Scores, concatenate
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.learner import Learner

# A forward pass counts 1 a token, a backward pass 2, and there is one for each answer.
COST = 5
# Slopes of tokens of one answer may differ by rounding, and no more.
_EVEN = 1e-4
# How far a full step moves the answers' log-probabilities where tokens' changes are measured, in
# nats: far above float32's rounding, and small enough to be a straight line.
_MOVE = 1e-2


@dataclass(frozen=True, slots=True)
class Products:
    """Inner products of the gradients of `n` pairs, float64 `[n]` each.

    Args:
        inner: <g_w, g_l>.
        chosen: ||g_w||^2.
        rejected: ||g_l||^2.
    """

    inner: Tensor
    chosen: Tensor
    rejected: Tensor

    @property
    def cosines(self) -> Tensor:
        """<g_w, g_l> / (||g_w|| ||g_l||), in [-1, 1]."""
        return self.inner / (self.chosen * self.rejected).sqrt()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a small step on a pair's own loss does to its log-probabilities, per unit of step.

    Args:
        chosen: of the chosen answers `[n]`, or of one answer's tokens; they rise where it is
            positive.
        rejected: of the rejected ones; they fall where it is negative.
    """

    chosen: Tensor
    rejected: Tensor

    @property
    def breaks_chosen(self) -> Tensor:
        """Whether the chosen answer does not rise, bool `[n]`."""
        return self.chosen <= 0

    @property
    def breaks_rejected(self) -> Tensor:
        """Whether the rejected answer does not fall, bool `[n]`."""
        return self.rejected >= 0


def predict(products: Products, slopes: Tensor) -> Changes:
    """Predict the changes that gradients and slopes (d_w and d_l, `[n, 2]`) imply."""
    up, down = slopes.double().unbind(1)
    return Changes(
        up * products.chosen - down * products.inner,
        up * products.inner - down * products.rejected,
    )


def parameters_of(model: nn.Module, layers: int | None = None) -> list[nn.Parameter]:
    """Choose weights whose gradients are compared: all that would be trained, or the last layers'.

    Args:
        model: prepared by `scoring.install`.
        layers: the last so many decoder layers with the final norm, and the head where it is not
            the embedding as well. None for all.

    Raises:
        UserError: the model does not have as many.
    """
    if layers is None:
        return [parameter for parameter in model.parameters() if parameter.requires_grad]
    base: Any = base_model_of(model)
    backbone, stack = backbone_of(base), decoder_layers(base)
    if not 0 < layers <= len(stack):
        raise UserError(
            f"{type(base).__name__} has {len(stack) or 'no list of'} layers, and the last {layers} "
            "are asked for.",
            mend="Ask for fewer, or for all weights.",
        )
    norm = getattr(backbone, "norm", getattr(backbone, "ln_f", None))
    head, embedding = base.get_output_embeddings(), base.get_input_embeddings()
    modules = [*stack[-layers:], *([norm] if isinstance(norm, nn.Module) else [])]
    # The way back to an embedding leads through all layers, so a head that is one stays out.
    if head.weight is not embedding.weight:
        modules.append(head)
    return [p for module in modules for p in module.parameters() if p.requires_grad]


@contextmanager
def alone(model: nn.Module, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Let gradients flow to `parameters` and no others, so that no more is kept than they need."""
    wanted = {id(parameter) for parameter in parameters}
    still = [p for p in model.parameters() if p.requires_grad and id(p) not in wanted]
    # Gradients of the others would be kept as well, and nobody reads them.
    for parameter in still:
        parameter.requires_grad = False
    try:
        with evaluating(model):
            yield
    finally:
        for parameter in still:
            parameter.requires_grad = True


def pair_gradients(
    model: nn.Module, example: Example, parameters: Sequence[nn.Parameter]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Scores]:
    """Compute g_w and g_l of one pair, weight by weight, and its scores without gradient."""
    with torch.enable_grad():
        scores = score_packed(model, pack(model, example.trees))
        # The graph is kept for the second answer, and let go with it.
        chosen, rejected = (
            torch.autograd.grad(
                total, parameters, retain_graph=keep, allow_unused=True, materialize_grads=True
            )
            for total, keep in zip(scores.sum().unbind(0), (True, False), strict=True)
        )
        return chosen, rejected, scores.detach()


def pair_products(
    model: nn.Module,
    examples: Sequence[Example],
    parameters: Sequence[nn.Parameter],
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Products, Scores]:
    """Compute inner products of the gradients of every pair, one pair at a time.

    Args:
        model: prepared by `scoring.install`.
        examples: comparisons or joint pairs.
        parameters: from `parameters_of`.
        advance: called after every pair with the tokens it took, each counted `COST` times.

    Returns:
        The products, and the scores of all pairs, chosen and rejected in turn.
    """
    rows, scores = [], []
    with alone(model, parameters):
        for example in examples:
            w, v, measured = pair_gradients(model, example, parameters)
            rows.append((_dot(w, v), _dot(w, w), _dot(v, v)))
            scores.append(measured.to("cpu"))
            advance(COST * example.num_tokens)
    columns = torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)
    return Products(*columns.unbind(1)), concatenate(scores)


def _dot(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Compute an inner product over all weights."""
    total = 0.0
    for a, b in zip(first, second, strict=True):
        # bfloat16 would sum millions of products with eight bits.
        left = a.flatten().to(torch.promote_types(a.dtype, torch.float32))
        total += float(torch.dot(left, b.flatten().to(left.dtype)))
    return total


@dataclass(frozen=True, slots=True)
class _Scored:
    """A policy of which the scores are known and nothing else."""

    known: Scores

    def lay_out(self, trees: Sequence[TokenTree]) -> Callable[[], Scores]:  # noqa: ARG002 - known
        return lambda: self.known


def loss_slopes(
    objective: Objective,
    options: Mapping[str, Any],
    policy: Scores,
    examples: Sequence[Example],
    reference: Scores | None = None,
) -> Tensor:
    """Compute d_w and d_l of every pair, by autograd of the objective, float64 `[n, 2]`.

    Args:
        objective: for comparisons or joint pairs.
        options: from `objectives.registry.bind_options`.
        policy: scores of all pairs, chosen and rejected in turn.
        examples: the pairs.
        reference: scores of the same answers; the policy's own, as they are before the first step,
            when None.

    Raises:
        UserError: the loss does not weigh an answer's tokens alike, so that no single slope stands
            for them.
    """
    logps = policy.logps.detach().double().requires_grad_()
    fixed = policy if reference is None else reference
    still = Frozen(_Scored(replace(fixed, logps=fixed.logps.detach().double())))
    learner = Learner(objective, options, _Scored(replace(policy, logps=logps)), still)
    with torch.enable_grad():
        losses = learner.loss(examples).output.losses
        (per_token,) = torch.autograd.grad(losses.sum(), logps)
    per_answer = policy.mean_tokens(per_token)
    spread = (per_token - per_answer[policy.owner]).abs().max()
    if spread > _EVEN * per_answer.abs().max():
        raise UserError(
            f"objective {objective.name!r} weighs the tokens of an answer differently, so no slope "
            "stands for the answer.",
            where="method",
            mend="Choose an objective of summed or averaged log-probabilities.",
        )
    # A loss falls with the chosen answer's log-probability, and rises with the other's.
    return torch.stack([-per_answer[0::2], per_answer[1::2]], dim=1)


@torch.no_grad()
def last_layer_token_changes(model: nn.Module, example: Example, slopes: Tensor) -> Changes:
    """Measure tokens' changes where the head's weight alone is moved, from one forward pass.

    Args:
        model: prepared by `scoring.install`.
        example: a comparison or joint pair.
        slopes: d_w and d_l of the pair, `[2]`.

    Raises:
        UserError: the head is more than a linear layer.
    """
    packed = pack(model, example.trees)
    scores = score_packed(model, packed, ScoreOptions(hidden=True, logps=False))
    products = head_products(model, scores, packed.targets)
    count = int(scores.lengths[0])
    weights = products.new_full((products.shape[0],), -float(slopes[1]))
    weights[:count] = float(slopes[0])
    changes = (products @ weights).cpu()
    return Changes(changes[:count], changes[count:])


def token_changes(
    model: nn.Module, example: Example, parameters: Sequence[nn.Parameter], slopes: Tensor
) -> Changes:
    """Measure tokens' changes where `parameters` are moved, from two small steps there and back.

    A step e along u = d_w g_w - d_l g_l and one against it give every token's change at once,
    (logp(+e) - logp(-e)) / 2 e, where the gradient of each token would be a backward pass each.

    Args:
        model: prepared by `scoring.install`, in float32: bfloat16 weights round such steps
            away.
        example: a comparison or joint pair.
        parameters: from `parameters_of`; they are what they were afterwards.
        slopes: d_w and d_l of the pair, `[2]`.

    Raises:
        UserError: the weights are not in float32.
    """
    if any(parameter.dtype != torch.float32 for parameter in parameters):
        raise UserError(
            "changes of tokens under all weights are measured by steps too small for bfloat16.",
            mend="Load the model with --precision float32, or look at the last layer.",
        )
    with alone(model, parameters):
        chosen, rejected, scores = pair_gradients(model, example, parameters)
        up, down = (float(slope) for slope in slopes)
        update = [up * w - down * v for w, v in zip(chosen, rejected, strict=True)]
        fastest = max(abs(_dot(update, chosen)), abs(_dot(update, rejected)))
        # Pairs with large gradients take smaller steps, so that all stay on the straight line.
        distance = _MOVE / fastest if fastest else 1.0
        ahead, behind = (
            _logps_at(model, example, parameters, update, sign * distance) for sign in (1, -1)
        )
    changes = ((ahead - behind) / (2 * distance)).cpu()
    count = int(scores.lengths[0])
    return Changes(changes[:count], changes[count:])


@torch.no_grad()
def _logps_at(
    model: nn.Module,
    example: Example,
    parameters: Sequence[nn.Parameter],
    update: Sequence[Tensor],
    distance: float,
) -> Tensor:
    """Score tokens with the weights moved, float64; the weights are put back."""
    before = [parameter.clone() for parameter in parameters]
    try:
        for parameter, change in zip(parameters, update, strict=True):
            parameter.add_(change, alpha=distance)
        return score_packed(model, pack(model, example.trees)).logps.double()
    finally:
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
