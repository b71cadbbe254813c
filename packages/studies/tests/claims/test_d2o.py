"""D2O's study is told of unwanted answers alone."""

from __future__ import annotations

import pytest

from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.training.preparations.self_samples import with_own_answers
from accordant_studies.claims import d2o
from accordant_studies.laboratory import language
from accordant_studies.laboratory.transformer import Schooling, Shape, start_model


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"PROMPTS": 120, "ANCHORS": 3, "STEPS": 2, "BATCH": 16, "HELD_OUT": 20}
    for name, size in sizes.items():
        monkeypatch.setattr(d2o, name, size)
    conditions = {d2o.D2O: (3, 0.1, 2), d2o.ONE: (1, 0.1, 2), d2o.NONE: (1, d2o.NOTHING, 1)}
    monkeypatch.setattr(d2o, "CONDITIONS", conditions)
    monkeypatch.setattr(d2o, "SHAPE", Shape(width=32, layers=1))
    monkeypatch.setattr(d2o, "Schooling", lambda: Schooling(prompts=512, epochs=1))


@pytest.mark.usefixtures("small")
def test_the_labels_are_rude_answers_and_nothing_else() -> None:
    start = start_model(0, d2o.Schooling(), d2o.SHAPE)
    pool = language.every_prompt(0)[20:]
    unwanted = d2o._rude_answers(start, pool, 0)
    assert unwanted
    assert {example.trees[0].prompt for example in unwanted} <= set(pool)
    for example in unwanted:
        assert example.label is False
        assert language.manner_share(example.trees[0].continuations[0], "rude") > 0
    options = SamplingOptions(12, seed=1, stop_ids=(language.END,), samples_per_prompt=3)
    drawn, again = (with_own_answers(unwanted, LocalSampler(start), options) for _ in range(2))
    assert all(example.extra_answers == {"self_samples": 3} for example in drawn)
    assert drawn == again
