"""The little language's gold programs, and the small transformers that learn to write in it."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.scoring.apart import plain_logps
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory import language, transformer
from accordant_studies.laboratory.language import END, FIRST_ADJECTIVE, FIRST_NOUN, Writer
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.transformer import Schooling, Shape

POLITE, PLAIN, RUDE = (FIRST_ADJECTIVE + manner * language.ADJECTIVES for manner in range(3))
A, B, C = FIRST_NOUN, FIRST_NOUN + 1, FIRST_NOUN + 2
PROMPT = language.make_prompt([0, 1, 2])
TINY = Shape(width=32, layers=2, heads=2)


@given(seed=st.integers(0, 10_000))
def test_a_writer_without_faults_is_grammatical_and_right(seed: int) -> None:
    draw = random.Random(seed)
    (prompt,) = language.draw_prompts(1, seed, objects=draw.randint(1, 5))
    answer = language.write(prompt, Writer(manners=(0.5, 0.5, 0.0)), draw)
    assert language.is_grammatical(answer)
    assert language.accuracy(prompt, answer) == 1.0
    assert not any(language.wrong_words(prompt, answer))
    assert language.quality(prompt, answer) >= 1.0


def test_a_confused_writer_takes_an_object_for_the_next() -> None:
    prompt = language.make_prompt([0, 7, 3])
    writer = Writer(adjective=0.0, confused=0.5)
    answers = language.write_all([prompt] * 400, writer, 1)
    named = {place: [language.nouns_of(answer)[place] for answer in answers] for place in range(3)}
    for place, (right, next_one) in enumerate([(0, 1), (7, 0), (3, 4)]):
        assert set(named[place]) == {right, next_one}
        assert named[place].count(right) / 400 == pytest.approx(0.5, abs=0.1)


def test_prompts_to_measure_on_are_none_of_those_to_train_on() -> None:
    held_out, pool = language.split_prompts(100, 3)
    assert not set(held_out) & set(pool)
    assert sorted([*held_out, *pool]) == sorted(language.every_prompt(3))
    drawn = language.draw_from(pool, 1000, 5)
    assert len(drawn) == 1000
    assert set(drawn) <= set(pool)
    assert drawn == language.draw_from(pool, 1000, 5)


def test_a_writer_errs_as_often_as_it_is_told() -> None:
    prompts = language.draw_prompts(3000, 0)
    answers = language.write_all(prompts, Writer(mistake=0.2, manners=(0.1, 0.2, 0.7)), 1)
    rows = [[answer] for answer in answers]
    right = transformer.mean_gold(prompts, rows, language.accuracy)
    assert right == pytest.approx(0.8, abs=0.02)
    rude = transformer.mean_gold(prompts, rows, lambda _, a: language.manner_share(a, "rude"))
    assert rude == pytest.approx(0.35, abs=0.02)  # half of the nouns have an adjective


@pytest.mark.parametrize(
    ("answer", "accuracy", "quality"),
    [
        ((A, B, C, END), 1.0, 1.0),
        ((POLITE, A, B, POLITE, C, END), 1.0, 1.0 + 0.5 * 2 / 3),
        ((A, RUDE, B, C, END), 1.0, 1.0 - 1 / 3),
        ((A, C, C, END), 2 / 3, 2 / 3),
        ((A, B, END), 2 / 3, 2 / 3),
        ((A, B, C, C, END), 3 / 4, 3 / 4),
        ((A, B, C), 1.0, -1.0),  # no end
        ((A, PLAIN, POLITE, B, C, END), 1.0, -1.0),  # two adjectives
        ((A, B, C, PLAIN, END), 1.0, -1.0),  # an adjective of nothing
        ((END,), 0.0, 0.0),
    ],
)
def test_gold_is_what_the_grammar_says(
    answer: tuple[int, ...], accuracy: float, quality: float
) -> None:
    assert language.accuracy(PROMPT, answer) == pytest.approx(accuracy)
    assert language.quality(PROMPT, answer) == pytest.approx(quality)


def test_faults_are_rude_words_and_nouns_out_of_place() -> None:
    faults = language.wrong_words(PROMPT, (A, RUDE, C, PLAIN, C, A, END))
    assert faults == [False, True, True, False, False, True, False]


def test_goals_and_judgments_leave_the_objects_alone() -> None:
    aimed = language.with_goal(PROMPT, 3)
    judged = language.with_judgment(aimed, [RUDE, A])
    assert aimed != PROMPT
    assert language.objects_of(judged) == language.objects_of(aimed) == (0, 1, 2)
    assert language.spell(judged).endswith("<judged> rude0 noun0 <answer>")
    assert max(judged) < language.VOCABULARY


def test_the_start_model_is_the_same_for_a_seed_and_handed_out_as_copies() -> None:
    short = Schooling(prompts=64, epochs=1)
    first, second = (transformer.start_model(0, short, TINY) for _ in range(2))
    other = transformer.start_model(1, short, TINY)
    rows = [[(A, B, C, END)]]
    scores = [transformer.score_answers(m, [PROMPT], rows).logps for m in (first, second, other)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    examples = transformer.demonstrations([PROMPT], [(A, B, C, END)])
    train(first, "sft", [Batch(examples)], steps=3, lr=1e-2)
    assert not torch.equal(transformer.score_answers(first, [PROMPT], rows).logps, scores[0])
    assert torch.equal(transformer.score_answers(second, [PROMPT], rows).logps, scores[1])


def test_answers_are_scored_as_the_plain_model_scores_them() -> None:
    model = transformer.new_model(3, TINY)
    rows = [[(A, B, END), (POLITE, A, END)]]
    scores = transformer.score_answers(model, [PROMPT], rows)
    with torch.no_grad():
        plain = torch.cat(plain_logps(model, TokenTree(PROMPT, tuple(rows[0]))))
    assert torch.allclose(scores.logps, plain, atol=1e-5)


def test_samples_depend_on_the_seed_alone() -> None:
    model = transformer.new_model(4, TINY)
    prompts = language.draw_prompts(5, 0)
    drawn = transformer.sample(model, prompts, 3, seed=1)
    assert [len(row) for row in drawn] == [3] * 5
    assert drawn == transformer.sample(model, prompts, 3, seed=1)
    assert drawn != transformer.sample(model, prompts, 3, seed=2)


def test_gold_orders_answers_and_leaves_out_what_it_cannot_order() -> None:
    good, same, bad = (A, B, C, END), (PLAIN, A, B, C, END), (A, A, A, END)
    rows = [[bad, good, bad], [good, same], [good]]
    rankings = transformer.gold_rankings([PROMPT] * 3, rows, language.quality)
    assert [e.trees[0].continuations[0] for e in rankings] == [good, same]
    assert rankings[0].rewards == pytest.approx((1.0, 1 / 3))
    (pair,) = transformer.gold_comparisons([PROMPT] * 3, rows, language.quality)
    assert pair.trees[0].continuations == (good, bad)
    thumbs = transformer.thumbs([PROMPT, PROMPT], [good, bad], [True, False])
    assert [(e.kind, e.label) for e in thumbs] == [("binary", True), ("binary", False)]


def test_win_rate_counts_ties_half() -> None:
    good, bad = (A, B, C, END), (A, A, A, END)
    prompts, gold = [PROMPT], language.accuracy
    assert transformer.gold_win_rate(prompts, [[good]], [[bad]], gold) == 1.0
    assert transformer.gold_win_rate(prompts, [[good, bad]], [[good, bad]], gold) == 0.5


@pytest.mark.slow
def test_the_start_model_writes_like_its_fallible_teacher() -> None:
    model = transformer.start_model(0)
    prompts = language.draw_prompts(200, 99)
    answers = transformer.sample(model, prompts, 4, seed=1)
    assert transformer.mean_gold(prompts, answers, lambda _, a: language.is_grammatical(a)) > 0.85
    assert 0.7 < transformer.mean_gold(prompts, answers, language.accuracy) < 0.95
    rude = transformer.mean_gold(prompts, answers, lambda _, a: language.manner_share(a, "rude"))
    assert 0.1 < rude < 0.25


def test_prompts_are_all_there_are_once_each() -> None:
    prompts = language.every_prompt(3)
    assert len(set(prompts)) == len(prompts) == 512
    assert prompts != language.every_prompt(4)
