"""Held-out prompts that are trained on."""

from __future__ import annotations

from dataclasses import replace

from accordant.checks.before.leakage import leakage
from accordant.checks.inputs import CheckInputs
from accordant.feedback.records import Message, Origin
from tests.checks.before.feedback import comparisons, dropped, feedback


def look(training, held_out, **options):
    return leakage(CheckInputs(feedback(training), feedback(held_out)), **options)


def held_out_rows(seed=9, count=50):
    return [
        replace(r, origin=Origin("held.jsonl", n)) for n, r in enumerate(comparisons(count, seed))
    ]


def test_splits_without_a_common_prompt_are_clean():
    finding = look(comparisons(), held_out_rows())
    assert finding.severity == "ok"
    assert finding.number.count == 50
    assert finding.drop == ()


def test_a_prompt_on_both_sides_is_found_with_all_its_training_rows():
    training, held_out = comparisons(), held_out_rows()
    held_out[4] = replace(held_out[4], prompt=training[10].prompt)
    training[30] = replace(training[30], prompt=training[10].prompt + "\n")
    finding = look(training, held_out)
    assert finding.severity == "serious"
    (row,) = finding.rows
    assert str(row.origin) == "held.jsonl, row 4"
    assert sorted(o.row for o in row.also) == [11, 31]
    assert dropped(finding) == [11, 31]
    assert row.note == "the same prompt"
    assert [m.number.estimate for m in finding.measures] == [1 / 50, 0]


def test_a_nearly_identical_prompt_is_found():
    training, held_out = comparisons(), held_out_rows()
    long = " ".join(f"word{n}" for n in range(80))
    training[0] = replace(training[0], prompt=long)
    held_out[0] = replace(held_out[0], prompt=f"Please: {long}!", chosen=training[0].chosen)
    finding = look(training, held_out)
    assert dropped(finding) == [1]
    assert finding.rows[0].note == "nearly the same prompt"
    assert [m.number.estimate for m in finding.measures] == [0, 1 / 50]
    assert look(training, held_out, similarity=0.999).severity == "ok"


def test_one_of_many_is_a_warning():
    training, held_out = comparisons(), held_out_rows(count=200)
    held_out[0] = replace(held_out[0], prompt=training[0].prompt)
    assert look(training, held_out).severity == "warning"


def test_conversations_leak_as_wholes_and_empty_prompts_do_not():
    def talk(*turns):
        return tuple(Message("user", turn) for turn in turns)

    base = comparisons(1)[0]
    training = [replace(base, prompt=talk("hello", "and now?"))]
    assert look(training, [replace(base, prompt=talk("and now?"))]).severity == "ok"
    assert look(training, [replace(base, prompt=talk("hello", "and  now?"))]).raised
    assert look([replace(base, prompt="")], [replace(base, prompt="")]).severity == "ok"
