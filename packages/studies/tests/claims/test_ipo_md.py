"""Ipo-md's study: what is exact in a game, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from accordant_studies.claims import ipo_md
from accordant_studies.laboratory import exact

CHANCES = torch.tensor([[[0.5, 0.7, 0.8], [0.3, 0.5, 0.6], [0.2, 0.4, 0.5]]], dtype=torch.float64)
UNIFORM = torch.full((1, 3), 1 / 3, dtype=torch.float64).log()


def test_the_nash_policy_is_its_own_best_reply_and_cannot_be_exploited() -> None:
    nash = exact.nash(UNIFORM, CHANCES, 0.5)
    assert nash.exp()[0].tolist() == pytest.approx([0.450627, 0.302064, 0.247309], abs=1e-6)
    assert exact.exploitability(nash, UNIFORM, CHANCES, 0.5) == pytest.approx(0, abs=1e-12)
    assert exact.exploitability(UNIFORM, UNIFORM, CHANCES, 0.5) > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_mixture_of_own_best_reply_is_nash_at_a_higher_temperature(seed: int) -> None:
    """pi = ref exp(P mix / tau) / Z with mix = pi^(1-b) ref^b: mix is Nash at tau / (1 - b)."""
    game, share, tau = ipo_md._circle(seed), ipo_md.SHARE, 0.2
    mixture = exact.nash(game.reference, game.chances, tau / (1 - share))
    policy = exact.best_reply(mixture, game.reference, game.chances, tau)
    mixed = ((1 - share) * policy + share * game.reference).log_softmax(-1)
    torch.testing.assert_close(mixed, mixture)
    assert exact.kl(policy, exact.nash(game.reference, game.chances, tau)) > 1e-4


def test_the_preference_is_cyclic() -> None:
    for game in (ipo_md._three(), *map(ipo_md._circle, range(4))):
        wins = game.chances[0] > 0.5
        torch.testing.assert_close(game.chances + game.chances.mT, torch.ones_like(game.chances))
        assert all(wins.any(1)), "an answer that loses to all others"
        assert not any(wins.sum(1) == len(wins) - 1), "an answer that beats all others"


def test_online_ipo_moves_to_the_nash_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipo_md, "ROUNDS", 60)
    monkeypatch.setattr(ipo_md, "RATE", 0.1)
    game = ipo_md._circle(100)
    recipe = ipo_md.replace(ipo_md.find_recipe("ipo_md"), draws=(ipo_md.Draw(2),))
    nash = exact.nash(game.reference, game.chances, 0.1)
    before = exact.kl(game.reference, nash)
    assert exact.kl(game.play(recipe, 100), nash) < 0.3 * before
