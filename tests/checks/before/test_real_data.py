"""The checks of feedback on feedback that people gave."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accordant.checks.before.contradictions import contradictions
from accordant.checks.before.duplicates import duplicates
from accordant.checks.before.format_bias import format_bias
from accordant.checks.before.leakage import leakage
from accordant.checks.before.length_bias import length_bias
from accordant.checks.inputs import CheckInputs
from accordant.feedback.loading import Feedback, load_feedback
from accordant.feedback.records import Message, Origin, Ranking
from accordant.statistics.agreement import krippendorff_alpha, pairwise_agreement
from tests.checks.before.feedback import dropped, feedback, run


@pytest.fixture(scope="module")
def harmless(public_data: Path) -> Feedback:
    file = public_data / "hh_rlhf_harmless" / "harmless_base_test_dev.jsonl.gz"
    return load_feedback(str(file), on_bad_row="skip")


def test_harmless_pairs_hold_no_copies_and_planted_ones_are_found(harmless: Feedback) -> None:
    assert run(duplicates, harmless.records).severity == "ok"
    assert run(contradictions, harmless.records).severity == "ok"
    first, second = harmless.records[100], harmless.records[200]
    copy = replace(first, origin=Origin("planted", 1))
    turned = replace(
        second, chosen=second.rejected, rejected=second.chosen, origin=Origin("planted", 2)
    )
    planted = [*harmless.records, copy, turned]
    assert dropped(run(duplicates, planted)) == [1]
    found = run(contradictions, planted)
    assert set(dropped(found)) == {second.origin.row, 2}


def test_harmless_labels_prefer_refusals_and_length_says_little(harmless: Feedback) -> None:
    finding = run(format_bias, harmless.records)
    refusal = next(m.number for m in finding.measures if m.name.startswith("refusal"))
    assert refusal.low > 0.5
    length = run(length_bias, harmless.records).number
    assert 0.4 < length.low < length.high < 0.5


def test_a_split_by_rows_leaks_and_one_by_prompts_does_not(harmless: Feedback) -> None:
    records = harmless.records
    clean = leakage(CheckInputs(feedback(records[:1200]), feedback(records[1200:])))
    # Later turns of one conversation are other prompts, but nearly the same.
    assert clean.number.estimate < 0.01
    mixed = feedback([*records[:1200], *records[1190:1195], *records[1300:1310]])
    leaking = leakage(CheckInputs(mixed, feedback(records[1200:])))
    assert leaking.severity == "serious"
    assert leaking.concerned >= 10


def _rankings(file: Path) -> Iterator[Ranking]:
    """Ranked replies of Open Assistant's trees, with the conversation before them as the prompt."""

    def walk(node: dict[str, Any], before: tuple[Message, ...]) -> Iterator[Ranking]:
        role = {"prompter": "user", "assistant": "assistant"}[node["role"]]
        here = (*before, Message(role, node["text"]))
        ranked = sorted(
            (one for one in node["replies"] if one.get("rank") is not None),
            key=lambda one: one["rank"],
        )
        if len(ranked) > 1 and ranked[0]["role"] == "assistant":
            answers = tuple((Message("assistant", one["text"]),) for one in ranked)
            yield Ranking(here, answers)
        for reply in node["replies"]:
            yield from walk(reply, here)

    for line in file.read_text(encoding="utf-8").splitlines():
        yield from walk(json.loads(line)["prompt"], ())


def test_open_assistant_rankings_hang_together(public_data: Path) -> None:
    records = [
        replace(record, origin=Origin("oasst", row))
        for row, record in enumerate(_rankings(public_data / "oasst_eval" / "en_100_tree.jsonl"), 1)
    ]
    assert len(records) > 80
    assert run(contradictions, records, "ranking").severity == "ok"
    assert run(duplicates, records, "ranking").severity == "ok"
    # People who ranked whole replies preferred the longer ones.
    assert run(length_bias, records, "ranking").number.low > 0.5
    turned = replace(
        records[0], completions=records[0].completions[::-1], origin=Origin("oasst", 0)
    )
    found = run(contradictions, [*records, turned], "ranking")
    assert {found.rows[0].origin.row, *(o.row for o in found.rows[0].also)} == {0, 1}


def test_five_people_on_each_of_350_questions_agree(public_data: Path) -> None:
    items: dict[str, list[float]] = defaultdict(list)
    with (public_data / "bbq" / "mturk_finalval_long.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            items[row["category"], row["item_uid"]].append(float(row["answer"]))
    values = list(items.values())
    alpha = krippendorff_alpha(values)
    assert alpha.count == 350
    assert alpha.low > 0.8
    # The options are nearly balanced, so alpha is close to the share beyond a third.
    share = pairwise_agreement(values).estimate
    assert alpha.estimate == pytest.approx((share - 1 / 3) / (2 / 3), abs=0.02)
