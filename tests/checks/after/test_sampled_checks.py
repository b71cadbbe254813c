"""Checks that sample answers: planted preferences, planted judges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from accordant.checks.after.frontier import frontier
from accordant.checks.after.probability_moved import probability_moved
from accordant.checks.after.reward_curve import reward_curve
from accordant.checks.inputs import CheckInputs
from accordant.checks.sampled_answers import SAMPLED
from accordant.scoring.apart import plain_logps
from accordant.statistics.best_of import best_of_divergence, best_of_win_rates
from accordant.tokens.trees import TokenTree
from tests.checks.after.trained import Judge, biased, trained
from tests.checks.before.feedback import comparisons
from tests.checks.before.modelled import TOKENIZER

SIZE: dict[str, Any] = {"prompts": 24, "samples": 6, "max_new_tokens": 8}
VOWELS = "aeiouAEIOU"
# Tokens that hold a vowel: a good part of the vocabulary, so that answers differ in them by chance.
VOCAL = [t for t in range(len(TOKENIZER)) if set(TOKENIZER.decode([t])) & set(VOWELS)]
LETTER = next(t for t in VOCAL if TOKENIZER.decode([t]) == "A")


def likes(_prompt: str, text: str, _finished: bool) -> float:
    return float(sum(text.count(vowel) for vowel in VOWELS))


def dislikes(prompt: str, text: str, finished: bool) -> float:
    return -likes(prompt, text, finished)


def towards_vowels(judge: Judge = likes, shift: float = 1.5) -> CheckInputs:
    shifts = dict.fromkeys(VOCAL, shift)
    return trained(comparisons(30), lambda model: biased(model, shifts), judge=judge)


def test_answers_are_scored_by_both_models_one_by_one() -> None:
    ready = towards_vowels()
    size = {"prompts": 3, "samples": 4, "max_new_tokens": 6}
    found = SAMPLED.read(ready, **size)
    assert len(found.prompts) == 3
    assert SAMPLED.read(ready, **size) is found
    from accordant.sampling.sampler import LocalSampler
    from accordant.sampling.samples import SamplingOptions
    from accordant.tokens.rendering import encode_prompt

    assert ready.rendering is not None
    assert ready.encoded is not None
    stop = tuple(ready.encoded.end_of_turn_ids)
    for place, record in enumerate(ready.feedback.records[:3]):
        prompt = encode_prompt(record.prompt, TOKENIZER, ready.rendering)
        options = SamplingOptions(
            max_new_tokens=6, samples_per_prompt=4, stop_ids=stop, seed=ready.seed
        )
        (again,) = LocalSampler(ready.model).sample([prompt], options)
        tree = TokenTree(prompt, tuple(one.completion for one in again))
        with torch.no_grad():
            ours, theirs = (plain_logps(one, tree) for one in (ready.model, ready.reference))
        answers = found.by_model
        for number, (sample, new, old) in enumerate(zip(again, ours, theirs, strict=True)):
            d = (new - old).double()
            assert answers.tokens[place, number] == len(sample.completion)
            assert answers.log_ratios[place, number] == pytest.approx(float(d.sum()), abs=1e-3)
            divergence = float((torch.exp(-d) - 1 + d).sum())
            assert answers.divergences[place, number] == pytest.approx(divergence, abs=1e-3)
            assert answers.scores[place, number] == likes("", answers.texts[place][number], True)


def test_the_model_itself_has_spent_nothing_and_won_nothing() -> None:
    found = frontier(trained(comparisons(30), lambda model: model, judge=likes), **SIZE)
    measured = {one.name: one.number.estimate for one in found.measures}
    assert measured["divergence from the reference, an answer"] == pytest.approx(0, abs=1e-4)
    assert found.severity == "info"
    assert found.number.low <= 0 <= found.number.high


def test_a_model_that_moved_away_from_the_judge_is_below_the_frontier() -> None:
    ready = towards_vowels(dislikes)
    found = frontier(ready, **SIZE)
    assert found.severity == "warning"
    assert found.number.high < 0
    assert found.mend
    # A row is an answer that went far without beating the reference's median.
    assert found.rows
    assert all(row.value > 0 for row in found.rows)


def test_the_number_is_the_distance_to_the_best_of_k_at_the_same_divergence() -> None:
    ready = towards_vowels()
    found = frontier(ready, **SIZE)
    answers = SAMPLED.read(ready, **SIZE)
    best = np.mean([best_of_win_rates(scores) for scores in answers.by_reference.scores], axis=0)
    costs = [best_of_divergence(k) for k in range(1, 6)]
    measured = {one.name: one.number.estimate for one in found.measures}
    spent = measured["divergence from the reference, an answer"]
    expected = measured["win rate over the reference"] - np.interp(spent, costs, best)
    assert found.number.estimate == pytest.approx(expected)
    assert measured["win rate over the reference"] > 0.6
    assert measured["win rate, best of 2"] == pytest.approx(best[1])


def test_a_reward_that_agrees_with_the_judge_is_no_finding() -> None:
    found = reward_curve(towards_vowels(), **SIZE)
    assert found.severity == "ok"
    assert found.number.estimate > 0


def test_a_reward_against_the_judge_is_serious() -> None:
    ready = towards_vowels(dislikes)
    found = reward_curve(ready, **SIZE)
    assert found.severity == "serious"
    assert found.rows
    values = found.charts[0].series[0].values
    assert values[0] == pytest.approx(0.5)
    assert values[-1] < values[0]


def test_an_untrained_model_says_nothing_of_rewards() -> None:
    found = reward_curve(trained(comparisons(30), lambda model: model, judge=likes), **SIZE)
    assert found.severity == "info"


def test_a_planted_token_is_named_and_the_chosen_answers_lose_to_it() -> None:
    ready = trained(comparisons(30), lambda model: biased(model, {LETTER: 6.0}), judge=likes)
    found = probability_moved(ready, **SIZE)
    assert found.severity in ("warning", "serious")
    assert "'A'" in found.sentence
    shown = found.charts[0].series[0]
    assert shown.labels[0] == "'A'"
    assert shown.values[0] > 0 > shown.values[-1]
    assert "A" in found.rows[0].passages[1].text
    values = [row.value for row in found.rows]
    assert values == sorted(values, reverse=True)


def test_nothing_moved_is_no_finding() -> None:
    found = probability_moved(trained(comparisons(20), lambda model: model), **SIZE)
    assert found.severity == "ok"
    assert found.number.estimate == 0


def test_what_it_costs_names_what_is_shared() -> None:
    ready, size = towards_vowels(), {"prompts": 4, "samples": 3}
    one, other = (SAMPLED.costs(ready, {**size, "max_new_tokens": tokens}) for tokens in (8, 9))
    name = "sampled answers (3 to each of 4 prompts at most, 8 tokens)"
    assert one == {name: 2.0 * 4 * 3 * 8 * 3}
    assert one.keys() != other.keys()
