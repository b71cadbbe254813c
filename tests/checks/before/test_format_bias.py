"""Forms of answers that are preferred as such: planted one by one, and absent."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from accordant.checks.before.format_bias import FORMS, format_bias
from tests.checks.before.feedback import comparisons, run

# By form: texts that have it, and texts that look alike and have not.
EXAMPLES = {
    "bullet list": (["x\n- one\n- two", "* a\n\n* b"], ["a - b - c", "- alone", "2 * 3\n* 4"]),
    "numbered list": (["1. one\n2. two", "1) a\n text\n2) b"], ["1. alone", "in 1. and 2. place"]),
    "heading": (["# Title\ntext", "a\n### b"], ["#tag", "C# is", "####### seven"]),
    "bold text": (["a **b** c", "__b__"], ["2 ** 3", "a_b_c", "** not closed"]),
    "code block": (["```python\nx\n```"], ["`x`", "a ``` b"]),
    "table": (["| a | b |\n| --- | --- |\n| 1 | 2 |"], ["a | b", "|x|\n|y|"]),
    "link": (["see https://example.org", "[a](b)"], ["example.org", "[a] (b)"]),
    "several paragraphs": (["a\n\nb", "a\n \nb"], ["a\nb", "a\n\n", "\n\na"]),
    "exclamation mark": (["Yes!"], ["Yes."]),
    "ends with a question": (["Is it? "], ["Is it? Yes."]),
    "emoji": (["good 😀", "☀"], ["good :)", "naïve 東京"]),
    "refusal": (
        ["I'm sorry, but no", "I cannot help", "As an AI model", "I can’t do that", "I won't"],
        ["I can help", "Sorry to hear it was closed", "He cannot", "AI is"],
    ),
    "hedge": (["Perhaps so", "It depends", "I'm not sure"], ["It is so", "in May be there"]),
    "opens with praise or assent": (
        ["Sure, here", "Great question!"],
        ["I am sure", "A great day"],
    ),
}


def test_every_form_has_examples():
    assert EXAMPLES.keys() == FORMS.keys()


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_recognised_and_what_looks_alike_is_not(form):
    having, others = EXAMPLES[form]
    for text in having:
        assert FORMS[form](text), text
    if form == "hedge":
        others = others[:1]  # "May be" is a hedge to anyone who does not know months
    for text in others:
        assert not FORMS[form](text), text


@pytest.mark.parametrize("seed", range(5))
def test_forms_spread_by_chance_are_left_alone(seed):
    draw = random.Random(seed)
    texts = [having[0] for having, _ in EXAMPLES.values()]

    def dressed(answer):
        return f"{answer}\n{draw.choice(texts)}" if draw.random() < 0.5 else answer

    records = [
        replace(r, chosen=dressed(r.chosen), rejected=dressed(r.rejected))
        for r in comparisons(400, seed)
    ]
    finding = run(format_bias, records)
    assert finding.severity == "ok"
    assert finding.rows == ()
    assert finding.mend == ""


@pytest.mark.parametrize("preferred", [True, False])
def test_a_planted_form_is_found_with_its_rows(preferred):
    draw = random.Random(1)
    records, planted = comparisons(400), set()
    for place in draw.sample(range(400), 150):
        follows = draw.random() < 0.95
        side = "chosen" if follows == preferred else "rejected"
        records[place] = replace(
            records[place], **{side: f"- one\n- two\n- {getattr(records[place], side)}"}
        )
        if follows:
            planted.add(place + 1)
    finding = run(format_bias, records, shown=200)
    assert finding.quantity.endswith("bullet list")
    assert finding.severity == "serious"
    assert (finding.number.estimate > 0.85) == preferred
    assert {row.origin.row for row in finding.rows} == planted
    assert finding.concerned == len(planted)
    assert ("preferred in" if preferred else "rejected in") in finding.sentence
