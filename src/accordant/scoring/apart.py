"""Sequences scored one beside the other: for models in which they cannot share a prompt.

Knows token ids, trees and a transformers backbone, whose own forward it calls. Knows nothing of
text, losses or people. Each continuation is a sequence with the prompt before it; sequences of like
length are computed together, filled up on the right, where no token of a causal model looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from accordant.models.adapters import base_model_of
from accordant.models.families import rope_switch
from accordant.models.hooks import backbone_of
from accordant.scoring.scores import send_numbers
from accordant.tokens.trees import FILLER, TokenTree

# A batch ends where a sequence would be filled up by more than this share of the longest.
SPARE = 0.25
# Tokens of a batch, unless a single sequence is longer.
BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the sequences of a model are computed.

    Args:
        reason: why prompts are not shared; empty where they are.
        padded: whether sequences of unequal length may stand in one batch.
        switch: see `models.rope_switch`; longer sequences are always computed apart.
        own_head: whether logits come from the model's own forward, as its head is more than a
            linear layer with what the configuration says of scale and cap.
    """

    reason: str = ""
    padded: bool = True
    switch: int | None = None
    own_head: bool = False


def sharing_of(model: nn.Module) -> Sharing:
    """Return how the sequences of a model prepared by `scoring.install` are computed."""
    sharing: Sharing = getattr(base_model_of(model), "_accordant_sharing", Sharing())
    return sharing


def computed_tokens(model: nn.Module, tree: TokenTree) -> int:
    """Count the tokens a model computes for a tree: more than it has where nothing is shared."""
    return tree.num_apart if stands_apart(sharing_of(model), [tree]) else tree.num_tokens


def stands_apart(sharing: Sharing, trees: Sequence[TokenTree]) -> bool:
    """Tell whether the sequences of these trees, in one row, are computed apart."""
    return bool(sharing.reason) or _passes_switch(sharing, trees)


def _passes_switch(sharing: Sharing, trees: Sequence[TokenTree]) -> bool:
    if sharing.switch is None:
        return False
    return any(tree.longest > sharing.switch for tree in trees)


@dataclass(frozen=True, slots=True)
class ApartTensors:
    """Sequences of some trees on a device, in batches.

    Args:
        batches: token ids, int64 `[sequences, tokens]` each, filled up on the right.
        sources, targets, owner, lengths, tree, places, sizes: as in `engine.PackedTensors`; places
            count through the tokens of all batches, row after row.
        starts: where each sequence begins, `[continuations]`.
        prompts: tokens of each sequence's prompt, `[continuations]`.
    """

    batches: tuple[Tensor, ...]
    sources: Tensor
    targets: Tensor
    owner: Tensor
    lengths: Tensor
    tree: Tensor
    places: Tensor
    starts: tuple[int, ...]
    prompts: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(
        cls, trees: Sequence[TokenTree], device: torch.device | str, sharing: Sharing
    ) -> ApartTensors:
        """Put the sequences of `trees` on `device`."""
        pairs = [(index, run) for index, tree in enumerate(trees) for run in tree.continuations]
        sequences = [trees[index].prompt + run for index, run in pairs]
        # Behind the switch a rope belongs to one length, and filling up would change it.
        padded = sharing.padded and not _passes_switch(sharing, trees)
        batches, starts, used = [], [0] * len(sequences), 0
        for members in group([len(sequence) for sequence in sequences], padded=padded):
            width = max(len(sequences[index]) for index in members)
            rows = []
            for index in members:
                starts[index] = used
                used += width
                rows.append(sequences[index] + (FILLER,) * (width - len(sequences[index])))
            batches.append(torch.tensor(rows, device=device))
        prompts = [len(trees[index].prompt) for index, _ in pairs]
        places = [
            start + prompt + offset
            for start, prompt, (_, run) in zip(starts, prompts, pairs, strict=True)
            for offset in range(len(run))
        ]

        sizes = tuple(len(run) for _, run in pairs)
        sent = send_numbers(
            device,
            # Every token is predicted by the one before it, the first by the prompt's last.
            sources=[place - 1 for place in places],
            targets=[token for _, run in pairs for token in run],
            owner=[owner for owner, size in enumerate(sizes) for _ in range(size)],
            lengths=sizes,
            tree=[index for index, _ in pairs],
            places=places,
        )
        return cls(
            tuple(batches), starts=tuple(starts), prompts=tuple(prompts), sizes=sizes, **sent
        )


def group(lengths: Sequence[int], *, padded: bool) -> Iterator[list[int]]:
    """Divide sequences into batches of equal or, where `padded`, of like length, longest first."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch: list[int] = []
    for index in order:
        if batch:
            longest = lengths[batch[0]]
            shortest = longest * (1 - SPARE) if padded else longest
            if lengths[index] < shortest or (len(batch) + 1) * longest > BATCH_TOKENS:
                yield batch
                batch = []
        batch.append(index)
    if batch:
        yield batch


def states_apart(backbone: nn.Module, batches: Sequence[Tensor]) -> Tensor:
    """Compute last hidden states of all batches' tokens, one after another, `[tokens, width]`."""
    states = []
    for ids in batches:
        reset_rope(backbone)
        # No mask: what fills a row up stands behind every token that is read.
        states.append(backbone(input_ids=ids, use_cache=False)[0].flatten(0, 1))
    return torch.cat(states)


def reset_rope(backbone: Any) -> None:
    """Let a dynamic rope forget the longest sequence it has seen, by which it would turn others."""
    if rope_switch(backbone.config) is None:
        return
    for module in backbone.modules():
        for name in [name for name in vars(module) if name.endswith("max_seq_len_cached")]:
            prefix = name.removesuffix("max_seq_len_cached")
            original = getattr(module, f"{prefix}original_inv_freq", None)
            if original is not None:
                inverse = getattr(module, f"{prefix}inv_freq")
                # A copy, as longrope writes into the buffer.
                setattr(module, f"{prefix}inv_freq", original.to(inverse.device, copy=True))
                setattr(module, name, module.original_max_seq_len)


def plain_logps(model: nn.Module, tree: TokenTree) -> list[Tensor]:
    """Score every continuation as a sequence, by the model's own forward: a slow reference.

    Returns:
        float32 log-probs of each continuation's tokens, `[tokens]` each, with gradients where they
        are enabled.
    """
    base = base_model_of(model)
    device = next(model.parameters()).device
    results = []
    for continuation in tree.continuations:
        reset_rope(backbone_of(base))
        ids = torch.tensor([tree.prompt + continuation], device=device)
        logits = type(base).forward(base, input_ids=ids, use_cache=False).logits[0].float()
        logps = logits.log_softmax(-1)[len(tree.prompt) - 1 : -1]
        targets = torch.tensor(continuation, device=device)
        results.append(logps.gather(1, targets[:, None])[:, 0])
    return results
