"""A model proves itself before it is scored: token trees against one sequence at a time.

Knows the engine and its slow reference. Small random trees are enough: a layer that ignores the
tree's mask or positions changes the hidden states at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.scoring.engine import ScoreOptions, evaluating, plain_logps, score
from accordant.tokens.trees import TokenTree

# Relative difference of hidden states allowed per dtype; bf16 keeps 8 bits and layers add up.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 8e-2}
_MEND = (
    "This family is not supported: choose a Llama, Qwen, Gemma, Mistral or GPT-2 model, "
    "or report the family."
)


def _trees(vocabulary: int) -> list[TokenTree]:
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[int, ...]:
        ids = torch.randint(0, vocabulary, (count,), generator=generator)
        return tuple(ids.tolist())

    return [
        TokenTree(draw(5), (draw(3), draw(6))),
        TokenTree(draw(9), (draw(4), draw(1), draw(7))),
    ]


def _plain_hidden(base: Any, tree: TokenTree) -> list[Tensor]:
    """Return hidden states that predict each continuation, one sequence at a time."""
    device = next(base.parameters()).device
    backbone = getattr(base, base.base_model_prefix)
    states = []
    for continuation in tree.continuations:
        ids = torch.tensor([tree.prompt + continuation], device=device)
        states.append(backbone(input_ids=ids, use_cache=False)[0][0, len(tree.prompt) - 1 : -1])
    return states


@torch.no_grad()
def verify_model(model: nn.Module) -> None:
    """Compare tree scores with one-sequence-at-a-time scores on a few tiny random trees.

    Raises:
        UserError: they differ by more than the dtype explains.
    """
    base = base_model_of(model)
    parameter = next(base.parameters())
    if parameter.device.type == "meta":
        return
    try:
        with evaluating(model):
            head = base.get_output_embeddings()
            trees = _trees((head or base.get_input_embeddings()).weight.shape[0])
            hidden = torch.cat([part for tree in trees for part in _plain_hidden(base, tree)])
            found = score(model, trees, ScoreOptions(hidden=True, logps=head is not None))
            logps = found.logps.nan_to_num()
            if head is not None:
                logps = torch.cat([part for tree in trees for part in plain_logps(model, tree)])
    except (TypeError, ValueError, RuntimeError, AttributeError, LookupError) as error:
        # A layer that stumbles over the packed row is as good a reason to refuse as a wrong score.
        raise UserError(
            f"{type(base).__name__} cannot be scored as a token tree ({error}).", mend=_MEND
        ) from error
    assert found.hidden is not None
    limit = TOLERANCE.get(parameter.dtype, 8e-2)
    state_error = _relative(found.hidden, hidden)
    # Without a head there are none to compare.
    logp_error = _relative(found.logps.nan_to_num(), logps)
    if not max(state_error, logp_error) <= limit:
        raise UserError(
            f"{type(base).__name__} scored as a token tree differs from itself scored one "
            f"sequence at a time (hidden states by {state_error:.2g}, log-probs by "
            f"{logp_error:.2g}, relative; allowed {limit:g}).",
            mend=_MEND,
        )


def _relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found.float(), expected.float()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-12))
