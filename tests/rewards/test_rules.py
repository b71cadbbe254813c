"""The rule of the bundled feedback, by examples on both sides of every border."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.rewards.rules import (
    MAX_WORDS,
    count_sentences,
    ends_cleanly,
    is_concise,
    score_concision,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("  \n\n ", 0),
        ("Paris.", 1),
        ("Paris", 1),
        ("It is Paris. It is in France.", 2),
        ("Is it? Yes! Good.", 3),
        ("It costs 3.50 euros today.", 1),
        ("Use fruit, e.g. apples, at 5 p.m. today.", 1),
        ("Dr. Smith met J.K. Rowling in the U.S. last week.", 1),
        ("He said “yes.” She left.", 2),
        ("1. Boil water.\n2. Add the egg.\n3. Wait", 3),
        ("- one\n- two", 2),
        ("Here are two:\n\n* one\n* two", 3),
        ("1. 2. 3. go", 1),
        ("Wait... what?", 2),
        ("# Title\nText.", 2),
    ],
)
def test_sentences_are_counted_as_a_reader_would(text, count):
    assert count_sentences(text) == count


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Yes.", True),
        ("Really?", True),
        ('She said "yes."', True),
        ("**Bold.**", True),
        ("Yes. \n", True),
        ("Yes", False),
        ("Yes,", False),
        ("And then...", False),
        ("First:", False),
        ("", False),
    ],
)
def test_an_answer_ends_cleanly_with_final_punctuation(text, clean):
    assert ends_cleanly(text) is clean


def test_the_rule_holds_only_when_every_part_does():
    good = "The capital is Paris. It lies on the Seine."
    assert is_concise(good, finished=True)
    assert not is_concise(good, finished=False)
    assert not is_concise(good + " It is old.", finished=True)
    assert not is_concise(good.rstrip("."), finished=True)
    assert not is_concise("Paris.", finished=True)
    assert not is_concise("", finished=True)


@given(st.integers(1, 100))
def test_the_word_limits_are_sharp(words):
    text = " ".join(["word"] * words) + "."
    assert is_concise(text, finished=True) is (3 <= words <= MAX_WORDS)


@given(st.text(max_size=200), st.booleans())
def test_the_score_is_the_rule_for_any_text(text, finished):
    assert score_concision("", text, finished) == float(is_concise(text, finished))
    assert score_concision("", text, False) == 0


@given(st.lists(st.text("ab .!?\n", max_size=20), max_size=6))
def test_lines_are_counted_one_by_one(lines):
    assert count_sentences("\n".join(lines)) == sum(map(count_sentences, lines))
