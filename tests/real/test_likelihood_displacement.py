"""The reproduction of likelihood displacement: its pairs, and its shape on the embedded model."""

from __future__ import annotations

import pytest

from accordant.catalogue.reproductions import likelihood_displacement
from accordant.catalogue.reproductions.likelihood_displacement import (
    NEVER,
    NO,
    YES,
    _lab,
    _pairs,
)


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


@pytest.mark.slow
def test_the_shape_shows() -> None:
    assert likelihood_displacement.reproduce(None).shows
