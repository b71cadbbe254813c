"""An adapter made part of the weights: one plain model out of two, scored before it is trusted.

Knows PEFT and number formats. Writing the result is `models.saving`'s work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.adapters import is_adapted, without_wrappers
from accordant.models.loading import load_model
from accordant.models.quiet import quiet_transformers
from accordant.models.saving import check_output_folder, save_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

SCORES_TOLERANCE = 1e-3  # nats


def merge_adapter(model: nn.Module) -> Any:
    """Add the adapter's update to the weights it sits on: W + (alpha / rank) B A.

    The sum is formed in float32, compared with what the adapter computed, and rounded once to the
    type of the weights. Input and output embeddings that share one matrix get one each where the
    adapter changes either. The model that is passed in is used up.

    Args:
        model: a PEFT model; a plain model is returned as it is.

    Returns:
        a plain transformers model.

    Raises:
        UserError: the sum is another model than the adapter on its base.
    """
    import torch

    inner = without_wrappers(model)
    if not is_adapted(inner):
        return inner
    dtype = inner.get_base_model().dtype
    with quiet_transformers(), torch.no_grad():
        inner.float().eval()
        before = _few_scores(inner)
        _untie_adapted_embeddings(inner)
        merged = inner.merge_and_unload()
        _refuse_other_scores(before, _few_scores(merged), "merging changed")
        merged = merged.to(dtype)
    merged.requires_grad_(True)
    return merged


def export_merged(
    adapter: str,
    folder: str | Path,
    *,
    card: str,
    stop_ids: Sequence[int] = (),
    overwrite: bool = False,
) -> Path:
    """Load an adapter folder, merge it, write a plain model folder, and read that back.

    Raises:
        UserError: `adapter` is no adapter folder, `folder` cannot be written, or what was written
            scores otherwise than the merged model did; the folder is left for a look then.
    """
    check_output_folder(folder, overwrite=overwrite)
    loaded = load_model(adapter)
    if loaded.source.kind != "adapter":
        raise UserError(
            f"{adapter!r} holds no adapter.",
            where="model",
            mend="Name a folder with adapter_config.json.",
        )
    model = merge_adapter(loaded.model)
    scores = _few_scores(model)
    path = save_model(
        model, loaded.tokenizer, folder, card=card, stop_ids=stop_ids, overwrite=overwrite
    )
    _refuse_other_scores(scores, _few_scores(load_model(str(path)).model), f"{path} lost")
    return path


def _untie_adapted_embeddings(model: Any) -> None:
    """Give input and output embeddings a matrix each, where the adapter sits on one of them.

    Merged into a shared matrix, an update of the head would change the input embeddings too, and
    a folder that calls the two tied would lose one of them when it is read.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper
    from torch import nn

    base = model.get_base_model()
    head, embeddings = base.get_output_embeddings(), base.get_input_embeddings()
    wrappers = (BaseTunerLayer, AuxiliaryTrainingWrapper)
    if not (isinstance(head, wrappers) or isinstance(embeddings, wrappers)):
        return
    for config in {id(c): c for c in (base.config, base.config.get_text_config())}.values():
        config.tie_word_embeddings = False
    plain = head.get_base_layer() if isinstance(head, BaseTunerLayer) else head
    if isinstance(plain, nn.Linear):
        plain.weight = nn.Parameter(plain.weight.detach().clone())


def _few_scores(model: Any) -> Tensor:
    """Return log-probabilities float32 `[2, 16, vocabulary]` of fixed random tokens."""
    import torch

    words = model.get_input_embeddings().weight.shape[0]
    tokens = torch.randint(words, (2, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits: Tensor = model.eval()(tokens.to(model.device)).logits
        return logits.float().log_softmax(-1)


def _refuse_other_scores(expected: Tensor, found: Tensor, what: str) -> None:
    """Refuse a model whose scores differ by more than float32's rounding through its layers."""
    difference = float((expected - found).abs().max())
    # Written so that NaN is refused, too.
    if not difference <= SCORES_TOLERANCE:
        raise UserError(
            f"{what} the model: log-probabilities differ by up to {difference:.3g} nats, expected "
            f"at most {SCORES_TOLERANCE}.",
            where="merge",
            mend="Use the adapter folder as it is: chat, score and align read it.",
        )
