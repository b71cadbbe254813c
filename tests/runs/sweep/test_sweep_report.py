"""What a sweep found: numbers of runs, their order, and how objectives fare over the grid."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from accordant.reports import pages, writing
from accordant.reports.drawing import describe_chart, draw_chart
from accordant.reports.terminal import print_report
from accordant.runs.align.report import align_report
from accordant.runs.sweep.charts import sweep_charts
from accordant.runs.sweep.numbers import (
    ACCURACY,
    KL,
    LENGTH,
    NLL,
    WANTED,
    WIN_RATE,
    RunNumbers,
    run_numbers,
)
from accordant.runs.sweep.report import render_csv, sweep_report
from accordant.runs.sweep.results import (
    SweepResults,
    TrialResult,
    rank_trials,
    ranking_measure,
    shown_measures,
    summarise_objectives,
    sweep_verdict,
)
from accordant.statistics.interval import Interval
from tests.reports.sample_reports import every_kind_of_report
from tests.reports.test_report import Page

RESULTS = every_kind_of_report()
NUMBERS = {kind: run_numbers(each, align_report(each).verdict) for kind, each in RESULTS.items()}


def trial(method: str, beta: float, *, shift: float = 0.0, failed: str = "") -> TrialResult:
    """A run with the numbers of the sample report, its win rate and divergence moved."""
    known: dict[str, Any] = {
        "name": f"{method},beta={beta:g}",
        "label": f"{method} beta={beta:g}",
        "method": method,
        "varied": {"method": method, "option.beta": beta},
        "options": {"beta": beta, "label_smoothing": 0.0},
    }
    if failed:
        return TrialResult(**known, state="failed", message=failed)
    numbers = NUMBERS["comparison"]
    measures = {**numbers.measures}
    rate, kl = measures[WIN_RATE.name], measures[KL.name]
    measures[WIN_RATE.name] = replace(rate, estimate=rate.estimate + shift)
    measures[KL.name] = replace(kl, estimate=kl.estimate + beta)
    units = {**numbers.units}
    units[WIN_RATE.name] = tuple(np.clip(np.array(units[WIN_RATE.name]) + shift, 0, 1).tolist())
    return TrialResult(
        **known,
        state="finished",
        message=numbers.message,
        measures=measures,
        units=units,
        seconds=3.0,
        model="model" if shift > 0 else "",
    )


def results(*trials: TrialResult, **groups: str) -> SweepResults:
    measure = ranking_measure("win_rate", trials)
    return SweepResults(
        title="Sweep of runs",
        model="tiny",
        data="pairs.jsonl",
        record_type="comparison",
        train=320,
        held_out=80,
        ranked_by=measure.name,
        trials=rank_trials(trials, measure),
        objectives=summarise_objectives(trials, measure),
        start_length=NUMBERS["comparison"].start_length or Interval(1, 1, 1, 1),
        judge="shorter",
        groups={**NUMBERS["comparison"].groups, **groups},
        settings={"learning_rate": 1e-6, "columns": {"prompt": "question"}},
        command="accordant align --sweep method=dpo",
    )


GRID = (
    trial("dpo", 0.1),
    trial("dpo", 1, shift=-0.2),
    trial("ln_dpo", 1, shift=0.1),
    trial("ln_dpo", 2, failed="the loss of step 3 is nan."),
)


def test_the_numbers_of_a_run_are_those_of_its_results() -> None:
    ran, numbers = RESULTS["comparison"], NUMBERS["comparison"]
    assert ran.held_out is not None
    assert ran.kl is not None
    for measure, expected in (
        (WIN_RATE, ran.win_rates[0].rate),
        (KL, ran.kl.per_sequence),
        (ACCURACY, ran.held_out.number("accuracy")),
        (WANTED, ran.held_out.change("chosen").change),
    ):
        assert numbers.measures[measure.name] == expected
    tokens = [pair.after.tokens for pair in ran.win_rates[0].rows]
    assert numbers.measures[LENGTH.name].estimate == pytest.approx(np.mean(tokens))
    assert NLL.name not in numbers.measures


@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_numbers_cross_the_border_of_processes_to_the_last_bit(kind: str) -> None:
    numbers = NUMBERS[kind]
    assert RunNumbers.from_text(numbers.to_text()) == numbers
    unknown = replace(numbers, seconds=math.nan, start_length=Interval(1.5, math.nan, math.nan, 1))
    again = RunNumbers.from_text(unknown.to_text())
    assert math.isnan(again.seconds)
    assert again.start_length is not None
    assert (again.start_length.estimate, again.start_length.count) == (1.5, 1)
    assert math.isnan(again.start_length.low)


def test_single_values_average_to_the_numbers_they_are_behind() -> None:
    numbers = NUMBERS["comparison"]
    for measure in (WIN_RATE, LENGTH, ACCURACY):
        estimate = numbers.measures[measure.name].estimate
        assert np.mean(numbers.units[measure.name]) == pytest.approx(estimate)


@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_every_kind_of_report_gives_what_it_has(kind: str) -> None:
    found = NUMBERS[kind].measures
    expected = {
        "comparison": {WIN_RATE, KL, LENGTH, WANTED, ACCURACY},
        "binary": {WIN_RATE, KL, LENGTH, WANTED, ACCURACY},
        "ranking": {WIN_RATE, KL, LENGTH, WANTED, ACCURACY},
        "demonstration": {WIN_RATE, KL, LENGTH, WANTED, NLL},
        "bare": set(),
    }[kind]
    assert {measure.name for measure in expected} <= found.keys()
    assert all(math.isfinite(one.estimate) for one in found.values())
    assert kind != "bare" or not found


def test_runs_are_ordered_best_first_then_by_divergence_and_failed_ones_last() -> None:
    equal = trial("ipo", 0.05)
    order = [one.label for one in rank_trials([*GRID, equal], WIN_RATE)]
    assert order == [
        "ln_dpo beta=1",
        "ipo beta=0.05",
        "dpo beta=0.1",
        "dpo beta=1",
        "ln_dpo beta=2",
    ]
    # The order is total: it does not depend on the order in which runs end.
    assert [one.label for one in rank_trials([equal, *GRID[::-1]], WIN_RATE)] == order


def test_what_ranks_is_what_was_asked_for_if_it_was_measured() -> None:
    assert ranking_measure("accuracy", GRID) == ACCURACY
    blind = [replace(one, measures={ACCURACY.name: one.get(ACCURACY)}) for one in GRID[:2]]
    assert ranking_measure("win_rate", blind) == ACCURACY
    assert ranking_measure("win_rate", []) == WIN_RATE


def test_lower_is_better_where_it_is() -> None:
    def imitation(change: float) -> TrialResult:
        measures = {NLL.name: Interval(change, change - 1, change + 1, 9)}
        return replace(GRID[0], label=str(change), measures=measures)

    order = rank_trials([imitation(0.5), imitation(-2.0), imitation(0.0)], NLL)
    assert [one.label for one in order] == ["-2.0", "0.0", "0.5"]


def test_an_objective_is_summed_up_by_best_worst_and_median() -> None:
    first, second = summarise_objectives(GRID, WIN_RATE)
    assert (first.method, first.finished, first.failed) == ("ln_dpo", 1, 1)
    assert (second.method, second.finished, second.failed) == ("dpo", 2, 0)
    rates = [GRID[0].get(WIN_RATE).estimate, GRID[1].get(WIN_RATE).estimate]
    assert (second.best_value.estimate, second.worst_value.estimate) == (rates[0], rates[1])
    units = [np.mean(one.units[WIN_RATE.name]) for one in GRID[:2]]
    assert second.medians[WIN_RATE.name].estimate == pytest.approx(np.median(units))
    # A single run is its own median.
    assert first.medians[WIN_RATE.name] == GRID[2].get(WIN_RATE)


def test_an_objective_whose_runs_all_failed_is_still_listed() -> None:
    lost = trial("ipo", 1, failed="memory ran out")
    summary = summarise_objectives([*GRID, lost], WIN_RATE)[-1]
    assert (summary.method, summary.finished, summary.failed) == ("ipo", 0, 1)
    assert math.isnan(summary.best_value.estimate)


def test_the_verdict_names_the_best_the_medians_and_what_failed() -> None:
    text = sweep_verdict(results(*GRID))
    assert text.startswith("Best of 3 by win rate: ln_dpo beta=1 with ")
    assert "dpo" in text.partition("Median over the grid:")[2]
    assert text.endswith("1 of 4 runs failed.")
    assert "No run was measured" in sweep_verdict(results(GRID[3]))


def test_columns_are_named_by_the_kind_of_feedback() -> None:
    labels = [measure.label for measure in shown_measures(results(*GRID))]
    assert "chosen log-prob, change" in labels
    assert "held-out nats per token, change" not in labels
    assert any(
        "desirable" in one.label
        for one in shown_measures(results(*GRID, wanted_logp_change="desirable"))
    )


def test_the_table_for_spreadsheets_has_a_row_per_run_with_intervals_and_options() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(results(*GRID)))))
    assert [row["run"] for row in rows] == [
        "ln_dpo,beta=1",
        "dpo,beta=0.1",
        "dpo,beta=1",
        "ln_dpo,beta=2",
    ]
    first, last = rows[0], rows[-1]
    assert (first["method"], float(first["option.beta"])) == ("ln_dpo", 1.0)
    assert float(first["kl_low"]) <= float(first["kl_high"])
    assert (last["state"], last["win_rate"]) == ("failed", "")
    assert "nan" in last["message"]


def test_the_json_is_strict_and_complete() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    found = json.loads(writing.render_json(sweep_report(results(*GRID))), parse_constant=refuse)
    assert found["schema_version"] == 1
    assert [one["state"] for one in found["cells"]] == ["finished"] * 3 + ["failed"]
    assert found["cells"][0]["measures"]["win_rate"]["count"] == 24
    assert found["objectives"][0]["medians"]["kl"]["estimate"] is not None
    assert found["verdict"] == sweep_verdict(results(*GRID))


def test_the_page_shows_every_run_and_objective_with_links_and_plots() -> None:
    html = pages.render_html(sweep_report(results(*GRID)))
    page = Page(html.replace(pages.plotly_code(), ""))
    text = "".join(page.text)
    for one in GRID:
        assert one.label in text
    assert "the loss of step 3 is nan." in text
    links = [link["href"] for link in page.all("a")]
    assert "runs/ln_dpo%2Cbeta%3D1/report.html" in links
    assert not any("beta%3D2/" in link for link in links), "a failed run has no report"
    plots = [one["data-plot"] for one in page.all("div") if "data-plot" in one]
    assert plots == ["robustness", "frontier", "length", "logps", "effect-option-beta"]
    # An anchor must not take the place of the element that the page's script looks for.
    identifiers = [
        one["id"] for tag in ("section", "script") for one in page.all(tag) if "id" in one
    ]
    assert len(set(identifiers)) == len(identifiers)


def test_what_people_wrote_is_shown_as_text() -> None:
    hostile = "</script><b onload='x'>{{ 7 * 7 }}\x07"
    bad = replace(trial("dpo", 1), label=hostile, method=hostile, varied={"method": hostile})
    shown = replace(results(bad), title=hostile, judge=hostile, command=hostile)
    html = pages.render_html(sweep_report(shown))
    assert "<b onload" not in html
    assert "{{ 7 * 7 }}" in html
    assert "\x07" not in html


def test_every_plot_is_titled_described_and_unique() -> None:
    charts = sweep_charts(results(*GRID))
    assert len(charts) == 5
    for chart in charts.values():
        assert chart.title
        assert any(character.isdigit() for character in describe_chart(chart))
        assert draw_chart(chart).data
    assert sweep_charts(results(GRID[3])) == {}


def test_all_three_files_are_written(tmp_path: Path) -> None:
    page, _ = writing.write_report(sweep_report(results(*GRID)), tmp_path / "new")
    assert page.name == "sweep.html"
    assert {file.name for file in page.parent.iterdir()} == {
        "sweep.html",
        "sweep.json",
        "sweep.csv",
    }


@pytest.mark.parametrize("width", [60, 200])
def test_the_tables_in_a_terminal_name_every_run_and_what_failed(width: int) -> None:
    text = io.StringIO()
    print_report(sweep_report(results(*GRID)), Console(file=text, width=width))
    shown = text.getvalue()
    assert "failed: ln_dpo beta=2: the loss of step 3 is nan." in " ".join(shown.split())
    assert "Best of 3 by win rate" in " ".join(shown.split())
    assert all(word in shown for word in ("ln_dpo", "beta=0.1", "beta=1"))
