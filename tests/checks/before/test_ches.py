"""The check of CHES scores: what it lists, leaves out, and says after a probe run."""

from __future__ import annotations

import dataclasses
from statistics import median

import pytest
import torch

from accordant.base.errors import UserError
from accordant.checks.before.ches import ches
from accordant.checks.before.ranking_accuracy import ranking_accuracy
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import get_check
from accordant.feedback.records import Comparison, Origin, Ranking
from accordant.tokens.trees import TokenTree
from tests.checks.before.feedback import comparisons, dropped
from tests.checks.before.modelled import make_inputs


def pairs(count: int = 20) -> list[Comparison]:
    """Short pairs; every fourth repeats its chosen answer but for the last letters."""
    made = comparisons(count, seed=3)
    return [
        dataclasses.replace(
            one,
            prompt=one.prompt[:20],
            chosen=one.chosen[:30],
            rejected=one.chosen[:27] + "zzz" if place % 4 == 0 else one.rejected[:30],
        )
        for place, one in enumerate(made)
    ]


def test_scores_alone_give_no_verdict_and_the_highest_are_left_out() -> None:
    found = ches(make_inputs(pairs()), drop=0.25)
    assert found.severity == "ok"
    assert found.threshold is None
    values = [row.value for row in found.rows]
    assert values == sorted(values, reverse=True)
    assert len(found.drop) == found.concerned == 5
    assert {origin.row for origin in found.drop} == {
        row.origin.row for row in found.rows[:5] if row.origin
    }
    assert "no verdict" in found.sentence
    assert len(found.charts[0].series[0].values) == 20
    assert found.charts[0].marks[0].value == values[4]


def test_alike_answers_score_nearest_to_zero() -> None:
    found = ches(make_inputs(pairs()), score="plain", shown=20)
    alike = [row.value for row in found.rows if row.origin and (row.origin.row - 1) % 4 == 0]
    others = [row.value for row in found.rows if row.origin and (row.origin.row - 1) % 4]
    assert median(map(abs, alike)) < median(map(abs, others)) / 1.5
    edits = next(m for m in found.measures if m.name == "rank correlation with edit similarity")
    assert edits.number.estimate > 0


def test_a_threshold_takes_the_place_of_the_share() -> None:
    ready = make_inputs(pairs())
    scores = sorted((row.value for row in ches(ready).rows), reverse=True)
    found = ches(ready, above=(scores[2] + scores[3]) / 2)
    assert found.concerned == len(dropped(found)) == 3


def test_both_checks_of_pairs_share_one_pass() -> None:
    seen: list[int] = []
    ready = make_inputs(pairs(), advance=seen.append)
    calls: list[int] = []
    handle = ready.model.model.register_forward_pre_hook(lambda *_: calls.append(1))
    ches(ready)
    first = len(calls)
    ranking_accuracy(ready)
    handle.remove()
    assert first > 0
    assert len(calls) == first
    assert ready.encoded is not None
    assert sum(seen) == sum(example.num_tokens for example in ready.encoded.examples)


def test_a_probe_run_measures_the_fall_and_leaves_the_model_alone() -> None:
    seen: list[int] = []
    ready = make_inputs(pairs(24), advance=seen.append)
    before = {name: value.clone() for name, value in ready.model.state_dict().items()}
    found = ches(ready, probe_steps=4, probe_rate=1e-3)
    assert all(torch.equal(value, before[n]) for n, value in ready.model.state_dict().items())
    assert found.threshold is not None
    assert -1 <= found.number.low <= found.number.estimate <= found.number.high <= 1
    assert found.number.count == 24
    assert "4 steps of dpo on 24 pairs" in found.sentence
    assert len(found.charts) == 2
    names = [measure.name for measure in found.measures]
    assert "rank correlation of the fall with edit similarity" in names
    costs = get_check("ches").costs(ready, {"probe_steps": 4})
    assert sum(seen) == pytest.approx(sum(costs.values()), rel=0.15)


def test_a_planted_displacement_is_found_and_its_absence_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The verdict follows what the probe measured: falls in order of the scores, or in none."""
    ready = make_inputs(pairs(40))
    order = torch.tensor([row.value for row in ches(ready, shown=40).rows])
    by_row = {row.origin.row: row.value for row in ches(ready, shown=40).rows if row.origin}
    generator = torch.Generator().manual_seed(5)

    def planted(_model: object, examples: list[object], *_: object, **__: object) -> torch.Tensor:
        scores = torch.tensor([by_row[e.index + 1] for e in examples])  # type: ignore[attr-defined]
        noise = 0.3 * float(order.std()) * torch.randn(len(scores), generator=generator)
        falls = scores - order.min() + noise
        return torch.stack([-falls, falls], dim=1)

    def null(_model: object, examples: list[object], *_: object, **__: object) -> torch.Tensor:
        return torch.randn(len(examples), 2, generator=generator)

    monkeypatch.setattr("accordant.checks.trial_steps.trial_changes", planted)
    found = ches(ready, probe_steps=2)
    assert found.severity == "warning"
    assert found.number.low > 0.5
    monkeypatch.setattr("accordant.checks.trial_steps.trial_changes", null)
    assert ches(dataclasses.replace(ready, shared={}), probe_steps=2).severity == "ok"


def test_rankings_give_a_score_for_every_two_answers_but_no_probe() -> None:
    texts = [("Say.", (f"{a} one", f"{a} two", f"{a} three")) for a in ("Cat", "Dog", "Fox")]
    records = [Ranking(p, c, None, Origin("r.jsonl", n)) for n, (p, c) in enumerate(texts, 1)]
    ready = make_inputs(records, "ranking")
    found = ches(ready, drop=0.34)
    assert found.number.count == 9
    assert found.rows[0].note.startswith("answer ")
    assert len(found.drop) <= 3 == found.concerned
    with pytest.raises(UserError, match="rankings"):
        ches(ready, probe_steps=2)


def test_the_cost_is_one_forward_pass() -> None:
    ready: CheckInputs = make_inputs(pairs())
    assert ready.encoded is not None
    tokens = sum(example.num_tokens for example in ready.encoded.examples)
    assert get_check("ches").costs(ready) == {"pairs": tokens}
    assert get_check("ranking-accuracy").costs(ready) == {"pairs": tokens}


def test_answers_of_one_token_each_score_0_and_that_is_said() -> None:
    records = [Comparison(f"Say {n}.", "a", "b", Origin("f", n)) for n in range(1, 7)]
    ready = make_inputs(records)
    assert "by definition" not in ches(ready).sentence
    assert ready.encoded is not None
    bare = [
        dataclasses.replace(
            example,
            trees=tuple(
                TokenTree(tree.prompt, tuple(answer[:1] for answer in tree.continuations))
                for tree in example.trees
            ),
        )
        for example in ready.encoded.examples
    ]
    found = ches(make_inputs(records, encoded=dataclasses.replace(ready.encoded, examples=bare)))
    assert "6 pairs of one token each score 0 by definition" in found.sentence
    assert {row.value for row in found.rows} == {0.0}
