from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from accordant.objectives.kinds.comparison import measure_comparisons
from accordant.objectives.kinds.demonstration import measure_demonstrations
from accordant.reports.report import ComparedAnswer
from accordant.reports.terminal import print_report
from accordant.rewards.expression import find_reward
from accordant.runs.align.answers import compare_answers
from accordant.runs.align.report import align_report, key_figures
from accordant.statistics.wording import number
from tests.reports.sample_findings import make_finding
from tests.reports.sample_reports import (
    comparison_report,
    every_kind_of_report,
    make_logps,
    make_win_rate,
)


def held_out(chosen_moved, rejected_moved, spread=1.0):
    return measure_comparisons(
        make_logps(80, chosen_moved, spread, 1), make_logps(80, rejected_moved, spread, 2)
    )


def win_rate(better, worse, same=0):
    texts = [("a b", "a")] * better + [("a", "a b")] * worse + [("a", "a")] * same
    before, after = ([ComparedAnswer(pair[side], True) for pair in texts] for side in (0, 1))
    return compare_answers(["?"] * len(texts), before, after, find_reward("shorter"))


def said(**changes):
    return align_report(comparison_report(**{"win_rates": (), "held_out": None} | changes)).verdict


def test_an_improvement_is_said_with_its_intervals_and_its_price():
    line = said(held_out=held_out(-3, -12), win_rates=(win_rate(62, 10, 8),))
    assert line.startswith("Held-out reward accuracy 100 % (95 % interval 95 to 100, n=80); ")
    assert "win rate 82 % (7" in line
    assert "against the start by shorter" in line
    assert "chosen log-prob fell by 3.2" in line
    assert "\n" not in line


def test_an_interval_that_holds_chance_is_not_an_improvement():
    line = said(held_out=held_out(0, 0), win_rates=(win_rate(20, 18),))
    assert line.startswith("No measurable improvement: ")
    assert "not distinguishable from chance (50 %)" in line
    assert "no measurable difference from the start" in line
    assert "chosen log-prob did not measurably move" in line


def test_getting_worse_is_said():
    line = said(held_out=held_out(-12, -3), win_rates=(win_rate(10, 62),))
    assert line.startswith("No measurable improvement: ")
    assert "worse than chance" in line
    assert "worse than the start" in line


def test_answers_that_never_changed_are_said_to_be_unchanged():
    assert "no answer changed" in said(win_rates=(win_rate(0, 0, 30),))


def test_a_rise_of_the_chosen_log_probability_is_said():
    assert "chosen log-prob rose by 1.8" in said(held_out=held_out(2, -3))


def test_perplexity_that_rose_is_not_an_improvement():
    line = said(held_out=measure_demonstrations(make_logps(80, -5, 1, 1)))
    assert line.startswith("No measurable improvement: held-out perplexity rose from")
    better = said(held_out=measure_demonstrations(make_logps(80, 5, 1, 1)))
    assert better.startswith("Held-out perplexity fell from")


def test_nothing_measured_is_not_an_improvement():
    assert "Nothing was measured" in said(kl=None)


def test_no_held_out_records_are_not_reported_as_chance():
    line = said(held_out=measure_comparisons(make_logps(0, 0, 1, 1), make_logps(0, 0, 1, 2)))
    assert "nan" not in line
    assert "not distinguishable" not in line


@pytest.mark.parametrize("kind", sorted(every_kind_of_report()))
def test_the_terminal_shows_every_key_figure_and_the_verdict(kind):
    report = every_kind_of_report()[kind]
    console = Console(width=200, record=True, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    print_report(align_report(report), console)
    text = " ".join(console.export_text().split())
    assert align_report(report).verdict in text
    for figure in key_figures(report):
        assert figure.label in text
        assert figure.value in text


def test_markup_in_a_users_text_is_printed_and_not_obeyed(capsys):
    report = comparison_report(
        title="[red]title[/red]",
        findings=(make_finding("see [bold]this[/bold] [/]"),),
        win_rates=(make_win_rate(),),
    )
    print_report(align_report(report), Console(width=200))
    shown = capsys.readouterr().out
    assert "[red]title[/red]" in shown
    assert "see [bold]this[/bold] [/]" in shown


@given(st.floats(-1e300, 1e300))
def test_a_number_keeps_three_digits(value):
    written = float(number(value).replace(",", ""))
    assert written == pytest.approx(value, rel=6e-3)
    assert math.copysign(1, written) == math.copysign(1, value) or value == 0


def test_the_sign_of_figures_that_are_not_numbers_is_readable():
    assert [number(x) for x in (np.nan, np.inf, -np.inf, 0.0)] == ["unknown", "∞", "-∞", "0"]
