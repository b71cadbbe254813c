"""Guides: what every registered one promises, and each against numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from accordant.base.errors import UserError
from accordant.decoding.guides.fixed import average, proxy_tuning
from accordant.decoding.guides.logit_fusion import fusion_weights, logit_fusion
from accordant.decoding.guides.registry import bind_guide, guide, list_guides
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import Guided, ModelStepper
from tests.families import tiny_model

GUIDES = list_guides()
NAMES = [entry.name for entry in GUIDES]


def log(*rows):
    return torch.tensor(rows, dtype=torch.float64).log()


def random_views(count, rows=6, vocabulary=50, scale=1.5):
    torch.manual_seed(count)
    return [torch.randn(rows, vocabulary, dtype=torch.float64) * scale for _ in range(count)]


def divergence(first, second):
    """KL(first || second) of rows of logits."""
    first, second = first.log_softmax(-1), second.log_softmax(-1)
    return (first.exp() * (first - second)).sum(-1)


def counts(entry):
    return [len(entry.models), *([len(entry.models) + 1] if entry.several else [])]


@pytest.mark.parametrize("entry", GUIDES, ids=NAMES)
def test_a_guide_reads_rows_apart_and_only_what_logits_mean(entry):
    for count in counts(entry):
        views, function = random_views(count), bind_guide(entry.name, count)
        drawn = function(views, None).log_softmax(-1)
        assert drawn.shape == views[0].shape
        assert drawn.isfinite().all()
        # Logits mean the same with any constant added; every model its own.
        moved = [view + 3.0 * (k + 1) for k, view in enumerate(views)]
        again = function(moved, None).log_softmax(-1)
        torch.testing.assert_close(again, drawn, rtol=1e-4, atol=1e-4)
        order = [3, 1, 1, 5]
        some = function([view[order] for view in views], None)
        torch.testing.assert_close(some.log_softmax(-1), drawn[order])


@pytest.mark.parametrize("entry", GUIDES, ids=NAMES)
def test_models_that_agree_are_left_as_they_are(entry):
    for count in counts(entry):
        (view,) = random_views(1)
        drawn = bind_guide(entry.name, count)([view] * count, None)
        torch.testing.assert_close(drawn.log_softmax(-1), view.log_softmax(-1))


@pytest.mark.parametrize("entry", GUIDES, ids=NAMES)
def test_a_guide_drives_models(entry):
    count = counts(entry)[-1]
    steppers = [ModelStepper(tiny_model("llama", seed=seed)) for seed in range(count)]
    guided = Guided(steppers, bind_guide(entry.name, count))
    options = SamplingOptions(4, samples_per_prompt=2)
    together = LocalSampler(guided).sample([[5, 9], [7]], options)
    assert together[1] == LocalSampler(guided).sample([[7]], options)[0] or (
        [s.completion for s in together[1]]
        == [s.completion for s in LocalSampler(guided).sample([[7]], options)[0]]
    )


def test_listing_imports_no_torch():
    code = (
        "import sys; from accordant.decoding import list_guides; "
        "sys.exit('torch' in sys.modules or not list_guides())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_wrong_name_number_or_option_is_told():
    with pytest.raises(UserError, match="Did you mean 'logit_fusion'"):
        bind_guide("logit_fuson", 3)
    with pytest.raises(UserError, match="reads 3 or more models, got 2"):
        bind_guide("logit_fusion", 2)
    with pytest.raises(UserError, match="'largest' is -1"):
        bind_guide("logit_fusion", 3, {"largest": -1})
    with pytest.raises(ValueError, match="is taken"):
        guide(name="average", models=("m",), paper="", formula="")(tiny_model)


def test_a_guide_of_ones_own_may_read_where_it_stands():
    from accordant.decoding.guides import registry

    def no_repeat(logits, state):
        """Forbid the tokens that were just written."""
        return logits[0].masked_fill(state.holds(logits[0].shape[1]), -torch.inf)

    try:
        guide(name="no_repeat", models=("model",), paper="none", formula="")(no_repeat)
        guided = Guided([ModelStepper(tiny_model("llama"))], bind_guide("no_repeat", 1))
        ((sample,),) = LocalSampler(guided).sample([[5]], SamplingOptions(20, temperature=0))
        assert len(set(sample.completion)) == 20
    finally:
        registry._registered.pop("no_repeat")


def test_fixed_guides_are_their_formulas():
    large, base, first, second = random_views(4)
    expected = large + 0.5 * (first - base) + 0.5 * (second - base)
    torch.testing.assert_close(proxy_tuning([large, base, first, second], alpha=0.5), expected)
    mixed = (large.softmax(-1) * first.softmax(-1)).sqrt()
    drawn = average([large, first]).softmax(-1)
    torch.testing.assert_close(drawn, mixed / mixed.sum(-1, keepdim=True))


# Worked out by hand: P, T, S of three tokens.
P, T, S = log([0.5, 0.3, 0.2]), log([0.2, 0.6, 0.2]), log([0.4, 0.4, 0.2])


def weight(large, shift, base, largest=2.0):
    (found,) = fusion_weights(large, shift[None], base, "centroid", largest)
    return float(found)


def test_one_expert_moves_the_large_model_as_far_as_it_moved_the_small_one():
    assert float(divergence(T, S)) == pytest.approx(0.104650, abs=1e-6)
    assert float(divergence(P + (T - S), P)) == pytest.approx(0.115552, abs=1e-6)
    assert weight(P, T - S, S) == pytest.approx(0.948479, abs=1e-4)
    drawn = logit_fusion([P, S, T])
    assert float(divergence(drawn, P)) == pytest.approx(0.104650, abs=1e-5)


def test_a_large_model_that_is_the_small_one_becomes_the_expert():
    assert weight(S, T - S, S) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(logit_fusion([S, S, T]).softmax(-1), T.exp(), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(logit_fusion([P, S, S]).softmax(-1), P.exp())


def test_a_target_out_of_reach_takes_the_largest_weight():
    # However far it is pushed, P can move no further than -log P(token 1) = 1.203973 nats.
    base, expert = log([0.98, 0.01, 0.01]), log([0.01, 0.98, 0.01])
    assert float(divergence(expert, base)) > 1.203973
    assert weight(P, expert - base, base) == pytest.approx(2.0)
    assert weight(P, expert - base, base, largest=0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_the_equation_holds_wherever_its_weight_is_allowed(scale):
    large, base, noise = random_views(3, rows=200, vocabulary=400, scale=scale)
    expert = base + 0.3 * noise
    base, expert = base.log_softmax(-1), expert.log_softmax(-1)
    (alpha,) = fusion_weights(large.log_softmax(-1), (expert - base)[None], base, "centroid", 2.0)
    moved = divergence(large + alpha[:, None] * (expert - base), large)
    inside = alpha < 1.999
    assert inside.double().mean() > 0.9
    torch.testing.assert_close(
        moved[inside], divergence(expert, base)[inside], rtol=2e-4, atol=2e-6
    )
    assert (moved[~inside] < divergence(expert, base)[~inside]).all()


def test_mixtures_of_experts_are_their_definitions():
    large, base, first, second = (view.log_softmax(-1) for view in random_views(4, scale=0.7))
    shifts = torch.stack([first - base, second - base])
    targets = [divergence(first, base), divergence(second, base)]
    single = [fusion_weights(large, d[None], base, "centroid", 9.0)[0] for d in shifts]
    for mine, exact in zip(
        fusion_weights(large, shifts, base, "independent", 9.0), single, strict=True
    ):
        torch.testing.assert_close(mine, exact)
    shares = [target / sum(targets) for target in targets]
    for mine, alone, share in zip(
        fusion_weights(large, shifts, base, "centroid", 9.0), single, shares, strict=True
    ):
        torch.testing.assert_close(mine, alone * share)
    weights = fusion_weights(large, shifts, base, "marginal", 9.0)
    together = large + sum(a[:, None] * d for a, d in zip(weights, shifts, strict=True))
    for a, d, target in zip(weights, shifts, targets, strict=True):
        moved = divergence(together, together - a[:, None] * d)
        torch.testing.assert_close(moved, target, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("mix", ["centroid", "marginal", "independent"])
def test_an_expert_that_learned_nothing_changes_nothing(mix):
    large, base, expert = random_views(3)
    alone = logit_fusion([large, base, expert])
    both = logit_fusion([large, base, expert, base], mix=mix)
    torch.testing.assert_close(both.softmax(-1), alone.softmax(-1), rtol=1e-6, atol=1e-9)
