"""The reproduction of likelihood displacement: its pairs, and its shape on the embedded model."""

from __future__ import annotations

import pytest

from accordant_studies.claims import likelihood_displacement
from accordant_studies.claims.likelihood_displacement import (
    NEVER,
    NO,
    YES,
    _lab,
    _pairs,
)
from accordant_studies.study import judge


def test_the_watched_answers_are_one_token_each_and_in_no_pair_that_is_mixed() -> None:
    lab = _lab()
    assert [len(lab.ids(word)) for word in (YES, NO, NEVER)] == [1, 1, 1]
    sentences = (*likelihood_displacement.DECLINES, *likelihood_displacement.AGREES)
    watched = {lab.ids(word)[0] for word in (YES, NO, NEVER)}
    assert not watched & {token for sentence in sentences for token in lab.ids(sentence)}
    prompt = lab.prompt(likelihood_displacement.STATEMENTS[0])
    (example,) = _pairs(lab, [prompt], [(NO, NEVER)])
    assert example.trees[0].continuations == (lab.ids(NO), lab.ids(NEVER))


def test_a_few_steps_on_one_prompt_raise_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood_displacement, "STEPS", 2)
    lab = _lab()
    prompts = [lab.prompt(likelihood_displacement.STATEMENTS[0])]
    before = likelihood_displacement._logps(lab, lab.start, prompts)
    likelihood_displacement._train(lab, _pairs(lab, prompts, [(NO, NEVER)]))
    after = likelihood_displacement._logps(lab, lab.policy, prompts)
    assert after[YES] > before[YES]
    assert after[NEVER] < before[NEVER]
    assert likelihood_displacement._logps(lab, lab.start, prompts) == before


def test_every_part_of_the_claim_is_checked() -> None:
    def seed(shift: float) -> dict[str, dict[str, float]]:
        rows = {
            "No over Never": (0.6, 0.4),
            "No over Yes": (-1.7, 0.5),
            "Yes over No": (1.2, -1.5),
            "mix": (0.2, 0.1),
            "mix, filtered": (-0.1, 0.0),
        }
        changes = {
            name: {"log P(Yes), change": yes + shift, "log P(No), change": no + shift}
            for name, (yes, no) in rows.items()
        }
        return {"CHES": {"similar pairs": 0.0, "dissimilar pairs": -100 + shift}, **changes}

    measured = [seed(shift) for shift in (-0.01, 0.0, 0.01)]
    claims = likelihood_displacement.study().claims
    assert all(claim.holds for claim in judge(claims, measured))
    measured[0]["Yes over No"]["log P(No), change"] = 1.0
    assert [claim.holds for claim in judge(claims, measured)].count(False) == 1


@pytest.mark.slow
def test_the_shape_shows() -> None:
    assert likelihood_displacement.study().run().shows
