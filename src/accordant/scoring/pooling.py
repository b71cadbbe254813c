"""What a model makes of a prompt before any answer: the mean of its last hidden states.

Knows token ids and a prepared model. Knows nothing of answers, labels or what the vectors are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from accordant.scoring.apart import computed_tokens
from accordant.scoring.engine import ScoreOptions, evaluating, score
from accordant.tokens.trees import TokenTree, plan_rows


@torch.no_grad()
def prompt_states(
    model: nn.Module,
    prompts: Sequence[tuple[int, ...]],
    budget: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Average the last hidden state (after the final norm) over the tokens of every prompt.

    Args:
        model: prepared by `scoring.install`.
        prompts: token ids, at least one each.
        budget: tokens of one pass; a longer prompt gets a pass of its own.
        progress: called after every pass with the number of prompts done so far.

    Returns:
        float32 `[prompts, width]` on the CPU.
    """
    # Hidden states come from the positions that predict something. One more token, whichever, lets
    # all of the prompt's positions predict; what it is changes no state before it.
    trees = [TokenTree(prompt[:1], ((*prompt[1:], prompt[-1]),)) for prompt in prompts]
    options = ScoreOptions(logps=False, hidden=True)
    pooled: list[Tensor] = []
    done = 0
    with evaluating(model):
        for row in plan_rows([computed_tokens(model, tree) for tree in trees], budget):
            scores = score(model, [trees[index] for index in row], options)
            assert scores.hidden is not None
            sums = scores.sum_tokens(scores.hidden.float())
            pooled.append((sums / scores.lengths.unsqueeze(1)).cpu())
            done += len(row)
            if progress is not None:
                progress(done)
    return torch.cat(pooled)
