"""States inside a model's layers, read for token trees: what probes and steering vectors come from.

Knows packed rows and hooks. Knows nothing of text, labels or what the vectors are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from accordant.models.hooks import LayerSite, captured
from accordant.scoring.engine import (
    PackedTensors,
    ScoreOptions,
    evaluating,
    filled_row,
    score_packed,
)
from accordant.tokens.trees import PackedRow, TokenTree, plan_rows

Pool = Literal["last", "mean", "all"]
"""The last token's state, the mean over tokens, or the states of all tokens one after another."""


@torch.no_grad()
def read_states(
    model: nn.Module,
    trees: Sequence[TokenTree],
    sites: Sequence[LayerSite],
    *,
    of: Literal["prompt", "continuation"] = "continuation",
    pool: Pool = "last",
    budget: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> dict[LayerSite, Tensor]:
    """Read the states of tokens, each after the model has read that token and all before it.

    Inside `models.edited`, the states are what the edits make of them.

    Args:
        model: prepared by `scoring.install`.
        trees: at least one; for a text alone, split it into a prompt and a continuation anywhere.
        sites: pairs of a layer and a site in it, see `models.hooks`.
        of: whose tokens: every tree's prompt, or every continuation.
        pool: what is kept of them.
        budget: tokens of one pass; a longer tree gets a pass of its own.
        progress: called after every pass with the number of tokens just read.

    Returns:
        float32 on the CPU by site: `[trees, width]` or `[continuations, width]`, in order; `[their
        tokens, width]` where all are kept.

    Raises:
        UserError: the model has no such layer or site.
    """
    device = next(model.parameters()).device
    parts: dict[LayerSite, list[Tensor]] = {site: [] for site in sites}
    with evaluating(model), captured(model, sites) as states:
        for planned in plan_rows([tree.num_tokens for tree in trees], budget):
            row = filled_row(model, [trees[index] for index in planned])
            packed = PackedTensors.of(row, device, "all")
            score_packed(model, packed, ScoreOptions(logps=False))
            runs = _runs(row, of)
            for site, pieces in parts.items():
                pieces.append(_pooled(states[site][0], runs, pool).cpu())
            if progress is not None:
                progress(sum(trees[index].num_tokens for index in planned))
    return {site: torch.cat(pieces) for site, pieces in parts.items()}


def _runs(row: PackedRow, of: str) -> list[list[int]]:
    """Find where the tokens of every prompt, or of every continuation, stand in the row."""
    if of == "prompt":
        first = dict(zip(reversed(row.trees), reversed(row.continuations), strict=True))
        return [list(row.prompt(first[tree])) for tree in sorted(first)]
    segments = [row.segments[index] for index in row.continuations]
    return [list(range(segment.start, segment.end)) for segment in segments]


def _pooled(states: Tensor, runs: list[list[int]], pool: Pool) -> Tensor:
    """Reduce the states of a row `[tokens, width]` to what is kept of every run, in float32."""
    if pool == "last":
        return states[[run[-1] for run in runs]].float()
    kept = [states[run].float() for run in runs]
    return torch.cat(kept) if pool == "all" else torch.stack([part.mean(0) for part in kept])
