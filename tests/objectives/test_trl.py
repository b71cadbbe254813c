"""Losses against TRL's own code, on the same random scores.

TRL computes a loss inside its trainers' methods. They are called here on a stand-in that holds only
what the formulas read: the log-probabilities and the options.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import dpo, exo, ipo, ln_dpo, robust_dpo, rpo
from accordant.objectives.losses.pairwise_anchored import apo_down, apo_zero, nca, sppo
from accordant.objectives.losses.pairwise_links import discopo, f_dpo, hinge
from accordant.objectives.losses.pairwise_reference_free import cpo, orpo, simpo, slic
from tests.objectives.pairs import random_pairs

pytest.importorskip("trl", reason="compares with TRL's losses, and TRL is not installed")

SEEDS = [0, 1, 2]


def trainer(name: str) -> Any:
    """A trainer class of TRL; the test is skipped where this version has it no more."""
    import importlib

    places = {"DPOTrainer": "trl.trainer.dpo_trainer"}
    places |= {kind.upper() + "Trainer": f"trl.experimental.{kind}" for kind in ("cpo", "orpo")}
    try:
        return getattr(importlib.import_module(places[name]), name)
    except (ImportError, AttributeError) as error:
        pytest.skip(f"this version of TRL has no {name}: {error}")


def padded(sequences: Sequences, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token log-probabilities of policy and reference, and which places hold a token."""
    policy = torch.zeros(sequences.policy.count, width, dtype=torch.float64)
    reference, mask = policy.clone(), policy.clone()
    assert sequences.reference is not None
    for i in range(sequences.policy.count):
        mine = sequences.policy.owner == i
        length = int(mine.sum())
        policy[i, :length] = sequences.policy.logps[mine]
        reference[i, :length] = sequences.reference.logps[mine]
        mask[i, :length] = 1
    return policy, reference, mask


def dpo_trainer_loss(
    pairs: PairwiseScores,
    loss_type: str | list[str],
    *,
    weights: list[float] | None = None,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> float:
    """The loss of TRL's DPOTrainer on these pairs."""
    width = int(max(pairs.chosen.policy.lengths.max(), pairs.rejected.policy.lengths.max()))
    parts = zip(padded(pairs.chosen, width), padded(pairs.rejected, width), strict=True)
    policy, reference, mask = (torch.cat(part).to(dtype) for part in parts)
    zeros = torch.zeros_like(policy)
    outputs = SimpleNamespace(
        log_probs=policy, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool()
    )
    half = len(policy) // 2
    inputs = {
        # One prompt token before every answer: TRL drops the first column.
        "completion_mask": torch.cat([torch.zeros(len(mask), 1), mask], dim=1).long(),
        "input_ids": torch.zeros(len(mask), width + 1, dtype=torch.long),
        "attention_mask": torch.ones(len(mask), width + 1, dtype=torch.long),
        "ref_chosen_logps": reference.sum(1)[:half],
        "ref_rejected_logps": reference.sum(1)[half:],
    }
    types = [loss_type] if isinstance(loss_type, str) else loss_type
    stand_in = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(
            device="cpu", gather_for_metrics=lambda x: x, gather=lambda x: x
        ),
        args=SimpleNamespace(discopop_tau=options.pop("discopop_tau", 0.05)),
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        precompute_ref_logps=True,
        aux_loss_enabled=False,
        ld_alpha=None,
        use_weighting=False,
        loss_types=types,
        loss_weights=weights or [1.0] * len(types),
        **{
            "beta": 0.1,
            "label_smoothing": 0.0,
            "f_divergence_type": "reverse_kl",
            "f_alpha_divergence_coef": 0.5,
            **options,
        },
    )
    compute = trainer("DPOTrainer")._compute_loss
    return float(compute(stand_in, lambda **_: outputs, inputs, return_outputs=False))


DPO_TRAINER = [
    ("sigmoid", dpo, {}, {"beta": 0.1}),
    ("hinge", hinge, {}, {"beta": 0.1}),
    ("ipo", ipo, {"beta": 0.2}, {"tau": 0.2, "length_normalised": True}),
    ("exo_pair", exo, {"label_smoothing": 0.01}, {"label_smoothing": 0.01}),
    ("nca_pair", nca, {"beta": 0.3}, {"beta": 0.3}),
    ("robust", robust_dpo, {"label_smoothing": 0.2}, {"label_smoothing": 0.2}),
    ("sppo_hard", sppo, {"beta": 0.01}, {"beta": 0.01}),
    ("apo_zero", apo_zero, {"beta": 0.3}, {"beta": 0.3}),
    ("apo_down", apo_down, {"beta": 0.3}, {"beta": 0.3}),
    ("discopop", discopo, {"discopop_tau": 0.1}, {"tau": 0.1}),
    ("sigmoid_norm", ln_dpo, {"beta": 2.0}, {"beta": 2.0}),
]


@pytest.mark.parametrize(("loss_type", "loss", "theirs", "ours"), DPO_TRAINER)
@pytest.mark.parametrize("seed", SEEDS)
def test_losses_of_trls_dpo_trainer(loss_type, loss, theirs, ours, seed: int):
    pairs = random_pairs(seed)
    expected = dpo_trainer_loss(pairs, loss_type, **theirs)
    assert loss(pairs, **ours).losses.mean().item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("divergence", ["reverse_kl", "forward_kl", "js_divergence"])
@pytest.mark.parametrize("seed", SEEDS)
def test_divergences_of_trls_dpo_trainer(divergence: str, seed: int):
    pairs = random_pairs(seed)
    expected = dpo_trainer_loss(pairs, "sigmoid", f_divergence_type=divergence)
    loss = f_dpo(pairs, divergence=divergence).losses.mean().item()
    assert loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
def test_trls_alpha_is_one_minus_the_papers(alpha: float):
    pairs = random_pairs(3)
    # Its alpha-divergence knows no float64.
    options = {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 1 - alpha}
    expected = dpo_trainer_loss(pairs, "sigmoid", dtype=torch.float32, **options)
    loss = f_dpo(pairs, divergence="alpha_divergence", alpha=alpha).losses.mean().item()
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_rpo_is_trls_sum_of_sigmoid_and_sft_for_one_pair(seed: int):
    # TRL averages the sft part over all tokens of a batch, so only a batch of one must agree.
    pairs = random_pairs(seed, count=1)
    expected = dpo_trainer_loss(pairs, ["sigmoid", "sft"], weights=[1.0, 0.7])
    loss = rpo(pairs, eta=0.7, sft="mean").losses.item()
    assert loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_losses_of_trls_cpo_trainer(seed: int):
    pairs = random_pairs(seed)
    sums = pairs.chosen.policy.sum(), pairs.rejected.policy.sum()
    means = pairs.chosen.policy.mean(), pairs.rejected.policy.mean()
    cases = [
        ("sigmoid", sums, 0.1, cpo(pairs, sft_weight=0.0, label_smoothing=0.2)),
        ("simpo", means, 2.0, simpo(pairs, gamma=0.6)),
        ("hinge", sums, 1.0, slic(pairs, sft_weight=0.0)),
    ]
    for loss_type, logps, beta, output in cases:
        stand_in = SimpleNamespace(
            alpha=0.0,
            beta=beta,
            loss_type=loss_type,
            label_smoothing=0.2 if loss_type == "sigmoid" else 0.0,
            simpo_gamma=0.6,
            accelerator=SimpleNamespace(device="cpu"),
        )
        losses, *rewards = trainer("CPOTrainer").cpo_loss(stand_in, *logps)
        torch.testing.assert_close(output.losses, losses)
        torch.testing.assert_close(output.rewards, torch.cat(rewards))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_odds_ratio_of_trls_orpo_trainer(seed: int):
    pairs = random_pairs(seed)
    stand_in = SimpleNamespace(beta=0.2, accelerator=SimpleNamespace(device="cpu"))
    losses, *_ = trainer("ORPOTrainer").odds_ratio_loss(
        stand_in, pairs.chosen.policy.mean(), pairs.rejected.policy.mean()
    )
    # There the term is subtracted, and computed in float32.
    ours = orpo(pairs, beta=0.2).losses + pairs.chosen.policy.mean()
    torch.testing.assert_close(ours, -losses.double(), rtol=1e-5, atol=1e-6)
