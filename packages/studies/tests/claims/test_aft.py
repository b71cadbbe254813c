"""AFT's study: right and wrong are what a program says."""

from __future__ import annotations

from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant_studies.claims import aft
from accordant_studies.laboratory.language import END, FIRST_NOUN, every_prompt, make_prompt
from accordant_studies.laboratory.transformer import (
    Schooling,
    gold_rankings,
    sample,
    score_answers,
    start_model,
)


def _hardly_schooled(seed: int, _schooling: Schooling) -> object:
    return start_model(seed, Schooling(prompts=512, epochs=2))


def test_an_answer_is_right_if_it_names_everything_and_is_grammatical() -> None:
    prompt, nouns = make_prompt((0, 3)), (FIRST_NOUN, FIRST_NOUN + 3)
    assert aft._right(prompt, (*nouns, END)) == 1
    assert aft._right(prompt, nouns) == 0  # without an end
    assert aft._right(prompt, (nouns[0], END)) == 0


def test_pairs_count_as_misranked_by_mean_log_probabilities() -> None:
    model = start_model(0, Schooling(prompts=256, epochs=1))
    prompt, end = make_prompt((0, 3)), (END,)
    answers = ((FIRST_NOUN, FIRST_NOUN + 3, END), (FIRST_NOUN, END), end)
    data = [Example("ranking", (TokenTree(prompt, answers),), 0, rewards=(1.0, 0.0, 0.0))]
    right, *wrong = score_answers(model, [prompt], [answers]).mean().tolist()
    assert aft._misranked(model, data) == sum(score > right for score in wrong) / 2


def test_the_start_model_confuses_objects() -> None:
    """The premise: it scores wrong answers above right ones nearly as often as below."""
    model = start_model(0, aft.CONFUSED)
    prompts = every_prompt(0)[:64]
    answers = [list(dict.fromkeys(row)) for row in sample(model, prompts, 6, 1)]
    data = [
        example
        for example in gold_rankings(prompts, answers, aft._right)
        if len(set(example.rewards or ())) == 2
    ]
    assert 0.25 < aft._misranked(model, data) < 0.75
