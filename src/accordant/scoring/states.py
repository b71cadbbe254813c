"""States inside a model's layers, read for token trees: what probes and steering vectors come from.

Knows packed rows and hooks. Knows nothing of text, labels or what the vectors are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from accordant.models.adapters import base_model_of
from accordant.models.hooks import LayerSite, backbone_of, captured
from accordant.scoring.apart import (
    ApartTensors,
    computed_tokens,
    sharing_of,
    stands_apart,
    states_apart,
)
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
        for planned in plan_rows([computed_tokens(model, tree) for tree in trees], budget):
            chosen = [trees[index] for index in planned]
            if stands_apart(sharing_of(model), chosen):
                apart = ApartTensors.of(chosen, device, sharing_of(model))
                read, runs = _read_apart(model, apart, states), _runs_apart(apart, of)
            else:
                row = filled_row(model, chosen)
                packed = PackedTensors.of(row, device, "all")
                score_packed(model, packed, ScoreOptions(logps=False))
                read, runs = {site: states[site][0] for site in parts}, _runs(row, of)
            for site, pieces in parts.items():
                pieces.append(_pooled(read[site], runs, pool).cpu())
            if progress is not None:
                progress(sum(trees[index].num_tokens for index in planned))
    return {site: torch.cat(pieces) for site, pieces in parts.items()}


def _read_apart(
    model: nn.Module, apart: ApartTensors, states: Mapping[LayerSite, Tensor]
) -> dict[LayerSite, Tensor]:
    """Join what each batch leaves in `states`, as of all batches' tokens `[tokens, width]`."""
    backbone = backbone_of(base_model_of(model))
    batches: list[dict[LayerSite, Tensor]] = []
    for ids in apart.batches:
        states_apart(backbone, [ids])
        batches.append({site: values.flatten(0, 1) for site, values in states.items()})
    return {site: torch.cat([batch[site] for batch in batches]) for site in states}


def _runs_apart(apart: ApartTensors, of: str) -> list[list[int]]:
    """Find the same in sequences that stand apart; a tree's prompt is read in its first one."""
    trees, lengths = apart.tree.tolist(), apart.lengths.tolist()
    if of == "prompt":
        firsts = [trees.index(tree) for tree in sorted(set(trees))]
        return [list(range(apart.starts[i], apart.starts[i] + apart.prompts[i])) for i in firsts]
    begins = [start + count for start, count in zip(apart.starts, apart.prompts, strict=True)]
    pairs = zip(begins, lengths, strict=True)
    return [list(range(begin, begin + length)) for begin, length in pairs]


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
