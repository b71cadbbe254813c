"""One function: a model and packed token trees in, per-token log-probabilities out.

Knows token ids, trees and a transformers causal language model. Knows nothing of text, losses or
people. `install` prepares a model in place; from then on `model(packed=...)` scores a packed row
through the ordinary module call, so that data-parallel and sharded wrappers around it keep working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.models.hooks import backbone_of
from accordant.scoring.apart import (
    ApartTensors,
    computed_tokens,
    reset_rope,
    sharing_of,
    stands_apart,
    states_apart,
)
from accordant.scoring.compilation import row_lengths
from accordant.scoring.family_head import FamilyHead
from accordant.scoring.head import TILE, HeadOutput, HeadSettings, chunked_logps, module_logps
from accordant.scoring.layout import TreeLayout
from accordant.scoring.scores import EXTRAS, Scores, concatenate, send_numbers
from accordant.tokens.trees import PackedRow, TokenTree, fill_row, pack_row, plan_rows

# Part of every cache key: raise it when the numbers the engine returns change.
ENGINE_VERSION = 6

TokensRead = Literal["predicting", "continuations", "all"]
"""Tokens of a row whose last state is read: those that predict, the continuations' own as well, or
all. The last layer leaves out what it can of the others."""


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What to return besides log-probabilities.

    Args:
        entropy: entropy of the next-token distribution at every continuation token.
        top_k: summed probability and entropy of this many most likely tokens; 0 for none.
        hidden: last hidden states (after the final norm) at the predicting positions.
        chunk: tokens whose logits exist at a time; 0 chooses by vocabulary size.
        logps: False leaves the head out, for who reads hidden states alone; log-probabilities,
            and what else would come from logits, are then NaN.
        values: reads every continuation token's own last hidden state, `[tokens, width]`, such as
            `models.ValueHead`; None for none. In a wrapper that synchronises gradients it has to be
            a module of the wrapped model.
    """

    entropy: bool = False
    top_k: int = 0
    hidden: bool = False
    chunk: int = 0
    logps: bool = True
    values: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class PackedTensors:
    """A packed row on a device.

    Args:
        input_ids: int64 `[1, tokens]`.
        layout: visibility and positions of the row.
        sources: index of the token that predicts each target, int64 `[targets]`.
        targets: token ids to score, int64 `[targets]`: all continuations, in order.
        owner: continuation of every target, int64 `[targets]`.
        lengths: tokens of every continuation, int64 `[continuations]`.
        tree: tree of every continuation, int64 `[continuations]`.
        places: where each target itself stands in the row, int64 `[targets]`; None where nobody
            reads its state.
        sizes: `lengths` as numbers.
    """

    input_ids: Tensor
    layout: TreeLayout
    sources: Tensor
    targets: Tensor
    owner: Tensor
    lengths: Tensor
    tree: Tensor
    places: Tensor | None = None
    sizes: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        row: PackedRow,
        device: torch.device | str,
        read: TokensRead = "predicting",
        *,
        static: bool = False,
    ) -> PackedTensors:
        """Put `row` on `device`, for who reads the last states of these of its tokens.

        With `static`, the layers are not told which: their number is another in every row.
        """
        segments = [row.segments[index] for index in row.continuations]
        sources = [source for index in row.continuations for source in row.sources(index)]
        places = [place for segment in segments for place in range(segment.start, segment.end)]
        sizes = tuple(segment.length for segment in segments)
        wanted: Iterable[int] = sources
        if read != "predicting":
            wanted = range(len(row.tokens)) if read == "all" else (*sources, *places)
        sent = send_numbers(
            device,
            input_ids=row.tokens,
            positions=row.positions,
            end=row.ends,
            sources=sources,
            places=places,
            targets=[row.tokens[place] for place in places],
            owner=[index for index, segment in enumerate(segments) for _ in range(segment.length)],
            lengths=sizes,
            tree=row.trees,
            read=sorted(set(wanted)),
        )
        told = sent.pop("read")
        layout = TreeLayout(sent.pop("end"), sent.pop("positions"), None if static else told)
        if read == "predicting":
            del sent["places"]
        return cls(sent.pop("input_ids")[None], layout, sizes=sizes, **sent)


class PackedOutput(NamedTuple):
    """What `model(packed=...)` returns, each `[targets]` (hidden: `[targets, width]`, values:
    `[targets, attributes]`)."""

    logps: Tensor
    entropy: Tensor | None
    top_mass: Tensor | None
    top_entropy: Tensor | None
    hidden: Tensor | None
    values: Tensor | None


def head_settings(config: Any, options: ScoreOptions) -> HeadSettings:
    """Read what this family does to its logits from its configuration."""
    scale = getattr(config, "logit_scale", None) or 1.0
    # Granite divides where Cohere multiplies.
    scale /= getattr(config, "logits_scaling", None) or 1.0
    scale *= getattr(config, "lm_head_multiplier", None) or 1.0
    return HeadSettings(
        scale=float(scale),
        softcap=getattr(config, "final_logit_softcapping", None)
        or getattr(config, "logits_soft_cap", None),
        entropy=options.entropy,
        top_k=options.top_k,
        chunk=options.chunk,
    )


def _nothing(targets: Tensor, settings: HeadSettings) -> HeadOutput:
    """Return what stands in for the head's output where it was left out."""
    empty = torch.full(targets.shape, float("nan"), device=targets.device)
    top = empty if settings.top_k else None
    return HeadOutput(empty, empty if settings.entropy else None, top, top)


def _head(base: Any, hidden: Tensor, targets: Tensor, settings: HeadSettings) -> HeadOutput:
    if sharing_of(base).own_head:
        plain = replace(settings, scale=1.0, softcap=None)
        return module_logps(FamilyHead(base), hidden, targets, plain)
    head = base.get_output_embeddings()
    if type(head) is nn.Linear and head.weight.dtype == hidden.dtype:
        return chunked_logps(hidden, head.weight, head.bias, targets, settings)
    return module_logps(head, hidden, targets, settings)


# What is scored in one call: trees in a row, or their sequences apart.
Packed = PackedTensors | ApartTensors


def _tree_states(base: Any, packed: PackedTensors) -> Tensor:
    """Run the backbone over a packed row; returns the last states `[tokens, width]`."""
    if packed.input_ids.device.type == "cuda":
        # Before the layers, whose compiled code would make them again in each.
        for window in {None, getattr(base.config, "sliding_window", None)}:
            packed.layout.block_mask(window)
    backbone = backbone_of(base)
    reset_rope(backbone)
    output = backbone(
        input_ids=packed.input_ids,
        position_ids=packed.layout.positions[None],
        # A mask of four dimensions is passed on untouched, so that no causal mask is built: the
        # attention kernels read the layout instead.
        attention_mask=packed.input_ids.new_ones((1, 1, 1, 1), dtype=torch.bool),
        use_cache=False,
        tree_layout=packed.layout,
    )
    states: Tensor = output[0][0]
    return states


def _forward_packed(base: Any, packed: Packed, options: ScoreOptions) -> PackedOutput:
    """Run the backbone over what is packed and the head where a target is predicted."""
    if isinstance(packed, ApartTensors):
        states = states_apart(backbone_of(base), packed.batches)
    else:
        states = _tree_states(base, packed)
    hidden = states.index_select(0, packed.sources)
    settings = head_settings(base.config, options)
    if not options.logps:
        found = _nothing(packed.targets, settings)
    else:
        found = _head(base, hidden, packed.targets, settings)
    values = None
    if options.values is not None:
        if packed.places is None:
            raise ValueError("values need a row packed with the options that ask for them")
        values = options.values(states.index_select(0, packed.places))
    return PackedOutput(*found, hidden if options.hidden else None, values)


def forward_trees(
    self: nn.Module,
    *args: Any,
    packed: Packed | None = None,
    options: ScoreOptions | None = None,
    **kwargs: Any,
) -> Any:
    """Stand in for a model's forward: score `packed` where it is given, else do as before."""
    if packed is not None:
        return _forward_packed(base_model_of(self), packed, options or ScoreOptions())
    earlier = vars(self).get("_accordant_earlier_forward")
    if earlier is not None:
        return earlier(*args, **kwargs)
    return type(self).forward(self, *args, **kwargs)


def is_installed(model: nn.Module) -> bool:
    """Tell whether a policy can score trees: by itself, or `install` has prepared what it wraps."""
    if isinstance(model, TreeScorer):
        return True
    return bool(getattr(base_model_of(model), "_accordant_installed", False))


def pack(
    model: nn.Module, trees: Sequence[TokenTree], options: ScoreOptions | None = None
) -> Packed:
    """Lay `trees` out on the model's device to be scored with `options`: in one row, or apart where
    the model's sequences cannot share their prompts."""
    device, sharing = next(model.parameters()).device, sharing_of(model)
    if stands_apart(sharing, trees):
        return ApartTensors.of(trees, device, sharing)
    has_head = options is not None and options.values is not None
    read: TokensRead = "continuations" if has_head else "predicting"
    return PackedTensors.of(filled_row(model, trees), device, read, static=bool(row_lengths(model)))


def filled_row(model: nn.Module, trees: Sequence[TokenTree]) -> PackedRow:
    """Lay `trees` out in one row, of a length that the model's code was made for or runs well at.

    A row that is longer than all of these becomes a multiple of the longest.
    """
    row = pack_row(trees)
    tokens, lengths = len(row.tokens), row_lengths(model)
    multiple = lengths[-1] if lengths else TILE
    fitting = (length for length in lengths if length >= tokens)
    return fill_row(row, next(fitting, -(-tokens // multiple) * multiple))


def score_packed(model: nn.Module, packed: Packed, options: ScoreOptions | None = None) -> Scores:
    """Score what is already on the device; see `score`."""
    output: PackedOutput = model(packed=packed, options=options)
    return Scores(
        logps=output.logps,
        owner=packed.owner,
        lengths=packed.lengths,
        tree=packed.tree,
        entropy=output.entropy,
        top_mass=output.top_mass,
        top_entropy=output.top_entropy,
        hidden=output.hidden,
        values=output.values,
        sizes=packed.sizes,
    )


@runtime_checkable
class TreeScorer(Protocol):
    """A policy that scores trees by itself and not through the engine, such as a table."""

    def lay_out(self, trees: Sequence[TokenTree]) -> Callable[[], Scores]:
        """Return a function that scores `trees` under the policy as it stands when called."""
        ...


# What can be scored: a model that `install` has prepared, or one that scores trees by itself.
Policy = nn.Module | TreeScorer


def lay_out(
    policy: Policy, trees: Sequence[TokenTree], options: ScoreOptions | None = None
) -> Callable[[], Scores]:
    """Pack `trees` once, to score them as often as the weights change.

    Returns:
        a function that scores them under the weights as they stand when it is called.

    Raises:
        UserError: the model was not prepared.
    """
    if isinstance(policy, TreeScorer):
        return policy.lay_out(trees)
    if not is_installed(policy):
        raise UserError(
            "The model was not prepared for token trees.",
            mend="Call accordant.scoring.install(model) first.",
        )
    packed = pack(policy, trees, options)
    return lambda: score_packed(policy, packed, options)


def device_of(policy: Policy) -> torch.device:
    """Return the device of a policy's weights; that of one without any is the CPU."""
    weight = next(policy.parameters(), None) if isinstance(policy, nn.Module) else None
    return torch.device("cpu") if weight is None else weight.device


def score(
    policy: Policy, trees: Sequence[TokenTree], options: ScoreOptions | None = None
) -> Scores:
    """Score every continuation token of `trees`, packed in one row.

    Args:
        policy: a model prepared by `install`, possibly wrapped since (DDP, FSDP2), or one that
            scores trees by itself.
        trees: at least one tree; all of them are held in memory at once.
        options: what to return besides log-probabilities.

    Returns:
        `Scores` on the model's device, with gradients where they are enabled.

    Raises:
        UserError: the model was not prepared.
    """
    return lay_out(policy, trees, options)()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode inside the block; every module's own training flag afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


@torch.no_grad()
def score_all(
    model: nn.Module,
    trees: Sequence[TokenTree],
    budget: int = 4096,
    options: ScoreOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score any number of trees without gradients, in rows of at most `budget` tokens.

    Args:
        budget: tokens a row may hold; a longer tree gets a row of its own.
        progress: called after every row with the number of tokens just scored.

    Returns:
        `Scores` on the CPU, in the order of `trees`.
    """
    parts = []
    with evaluating(model):
        for row in plan_rows([computed_tokens(model, tree) for tree in trees], budget):
            chosen = [trees[index] for index in row]
            parts.append(score(model, chosen, options).detach().to("cpu"))
            if progress is not None:
                progress(sum(tree.num_tokens for tree in chosen))
    return concatenate(parts)


def with_reference(scores: Scores, logps: Tensor) -> Scores:
    """Return scores of the same continuations with other log-probs `[tokens]`, as cached ones."""
    nothing: dict[str, Any] = dict.fromkeys(EXTRAS)
    return replace(scores, logps=logps, **nothing)
