"""Every property a program measures: a text that has more of it than one that looks alike."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.checks.properties import PROPERTIES, measurable, words_of

# By property: answers, those that have more of it first.
MORE = {
    "free of slips of the pen": ("It is one. Here is two.", "it is is one . here is two."),
    "friendly": ("I am glad to help, good luck!", "Cut the wire, then solder it."),
    "polite": ("Thank you. Would you try it, please?", "You would not try it."),
    "speaks to the reader": ("You open your door.", "He opens his door."),
    "certain": ("It must always be so.", "It is so at times."),
    "figurative": ("It runs like a river, as good as gold.", "I would like a river of gold."),
    "long words": ("Extraordinary considerations prevail.", "It is so, and that is that."),
    "gives sources": ("See https://example.org and [1].", "See example.org and note 1."),
    "formatted": ("# Title\n\n- one\n- two **bold**", "Title - one - two * bold"),
    "admits limits": ("As an AI I don't know that.", "He knows that an AI is here."),
    "persuades": ("You should consider it, I recommend it.", "You may see it, it is there."),
    "in steps": ("1. Mix.\n2. Bake.\nFinally, eat.", "Mix, bake and eat in the 1. place."),
    "informal": ("Yeah, it's cool, isn't it.", "Yes, it is cold, is it not."),
    "easy to read": ("The cat sat. The dog ran.", "Institutional considerations predominate."),
    "does not repeat itself": ("one two three four five", "one two three one two three"),
    "on topic": ("The capital of Portugal is Lisbon.", "It is Lisbon."),
    "names facts": ("It was built by Gustave Eiffel in 1889.", "It was built. By whom? Gustave."),
    "asks back": ("What do you mean? Which one?", "I know what you mean."),
    "feels with the reader": ("I understand, that must hurt.", "They stand, that is must."),
    "length": ("one two three", "one-two three"),
    "hedged": ("Perhaps it may rain, I think.", "It will rain today, they say."),
    "refuses": ("I cannot help with that.", "I can help with that."),
    "apologises": ("Sorry, I apologise.", "A sorrowful apostle."),
    "speaks of itself": ("I like my work.", "Henry IV likes work, i.e. his."),
    "gives examples": ("Fruit, for example apples, such as these.", "Fruit, that is apples."),
    "exclaims": ("Yes! Well done!", "Yes != no. Well done."),
    "has code": ("Run `ls`.\n```\nls\n```", "Run 'ls', then ```."),
    "ends cleanly": ("It is done.", "It is do"),
}
PROMPT = "What is the capital of Portugal?"


def test_every_measure_has_its_texts() -> None:
    assert MORE.keys() == measurable().keys()


@pytest.mark.parametrize("name", MORE)
def test_the_first_text_has_more(name: str) -> None:
    measure = measurable()[name]
    more, less = MORE[name]
    assert measure(PROMPT, more) > measure(PROMPT, less)


def test_the_papers_29_come_first_and_what_no_program_tells_is_empty() -> None:
    paper = list(PROPERTIES.values())[:29]
    assert paper[-1].name == "length"
    assert sum(one.measure is None for one in paper) == 9
    assert all(one.measure is not None for one in list(PROPERTIES.values())[29:])
    assert all(one.description for one in PROPERTIES.values())


@given(st.text(max_size=200), st.text(max_size=200))
def test_measures_are_finite_for_any_text(prompt: str, answer: str) -> None:
    for name, measure in measurable().items():
        assert math.isfinite(measure(prompt, answer)), name


def test_rates_do_not_grow_with_repetition() -> None:
    once = "Perhaps you should say thank you. "
    for name in ("hedged", "polite", "persuades", "speaks to the reader"):
        measure = measurable()[name]
        assert measure("", once) == pytest.approx(measure("", once * 5)) != 0
    assert measurable()["length"]("", once * 5) == 5 * len(words_of(once))


def test_either_apostrophe_counts() -> None:
    measure = measurable()["informal"]
    assert measure("", "It’s so, we’re here.") == measure("", "It's so, we're here.") > 0
