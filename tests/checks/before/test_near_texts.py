"""Near duplicates against comparing all with all."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.checks.near_texts import near_pairs, runs_of, similarity_of, split_words


def slow_similarity(first: str, second: str) -> float:
    """The definition: sets of runs of five words."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = split_words(text)
        if len(words) <= 5:
            return {tuple(words)}
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    a, b = runs(first), runs(second)
    return len(a & b) / len(a | b)


def some_texts(seed: int, count: int = 120) -> list[str]:
    """Random texts with copies that differ in none to a few words."""
    draw = random.Random(seed)
    words = [f"w{n}" for n in range(400)]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 80))) for _ in range(count)]
    for place in range(0, count, 3):
        own = texts[draw.randrange(count)].split()
        for _ in range(draw.randint(0, 4)):
            own[draw.randrange(len(own))] = draw.choice(words)
        texts[place] = " ".join(own)
    return texts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("least", [0.5, 0.8, 0.95])
def test_pairs_are_those_of_comparing_all_with_all(seed, least):
    texts = some_texts(seed)
    wanted, firsts = set(), {}
    for i, j in itertools.combinations(range(len(texts)), 2):
        share = slow_similarity(texts[i], texts[j])
        if share == 1:
            firsts.setdefault(j, i)
        if share >= least:
            wanted.add((i, j))
    # Of equal texts each is paired with the first alone, and only the first with others.
    wanted = {(i, j) for i, j in wanted if i not in firsts and firsts.get(j, i) == i}
    found = {(near.first, near.second): near.similarity for near in near_pairs(texts, least)}
    assert found.keys() == wanted
    for (i, j), share in found.items():
        assert share == pytest.approx(slow_similarity(texts[i], texts[j]))


def test_only_pairs_across_the_border_are_asked_for():
    texts = some_texts(5)
    border = 60
    everything = itertools.product(range(border), range(border, len(texts)))
    wanted = {(i, j) for i, j in everything if slow_similarity(texts[i], texts[j]) >= 0.8}
    found = {(near.first, near.second) for near in near_pairs(texts, 0.8, beside=border)}
    assert found <= wanted
    # Every text of the second part that is near one of the first is found.
    assert {j for _, j in found} == {j for _, j in wanted}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_symmetric_and_one_for_the_same_words(first, second):
    a, b = runs_of(first), runs_of(second)
    assert similarity_of(a, b) == similarity_of(b, a)
    assert similarity_of(a, a) == 1
    assert similarity_of(a, b) == pytest.approx(slow_similarity(first, second))


def test_case_and_punctuation_do_not_count_and_signs_are_words():
    assert split_words("Don't, STOP! now_then") == ["don", "t", "stop", "now", "then"]
    assert split_words("東京 tower") == ["東", "京", "tower"]
