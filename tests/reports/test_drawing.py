from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.reports.drawing import UNWANTED, WANTED, describe_chart, draw_chart
from accordant.reports.report import Plots
from accordant.runs.align.charts import (
    further_charts,
    read_curve,
    training_charts,
    win_rate_chart,
)
from accordant.runs.align.report import align_report
from accordant.statistics.charts import Chart, Mark, Series
from tests.reports.sample_reports import comparison_report, every_kind_of_report, make_win_rate


def every_chart(results):
    plots = [part for part in align_report(results).parts if isinstance(part, Plots)]
    return [item for part in plots for item in part.charts.items()]


def histogram(**groups):
    series = tuple(Series(name, tuple(values)) for name, values in groups.items())
    return draw_chart(Chart("histogram", "t", "", "x", "y", series))


@pytest.mark.parametrize("kind", sorted(every_kind_of_report()))
def test_every_plot_is_titled_described_and_labelled(kind):
    charts = every_chart(every_kind_of_report()[kind])
    assert len(dict(charts)) == len(charts)
    for _, chart in charts:
        assert chart.title
        assert any(character.isdigit() for character in describe_chart(chart))
        assert draw_chart(chart).data
        assert chart.x_title


def trajectories(results):
    return draw_chart(training_charts(results)["logps"])


def test_the_trajectories_show_chosen_and_rejected_with_their_starts():
    figure = trajectories(comparison_report())
    assert [trace.name for trace in figure.data] == [
        *("chosen, training", "chosen, held-out", "rejected, training", "rejected, held-out")
    ]
    assert [line.y0 for line in figure.layout.shapes] == [figure.data[1].y[0], figure.data[3].y[0]]
    assert figure.data[1].line.color == WANTED
    assert figure.data[3].line.color == UNWANTED


def test_the_start_comes_from_the_held_out_results_where_it_was_not_logged():
    report = comparison_report()
    rows = tuple(row for row in report.curves if row["step"] > 0)
    marked = [line.y0 for line in trajectories(comparison_report(curves=rows)).layout.shapes]
    assert marked == [change.before for change in report.held_out.changes]


def test_curves_are_read_in_order_without_what_is_not_finite():
    rows = [
        {"step": 3, "eval/loss": 1.0},
        {"step": 1, "eval_loss": 2.0, "loss": float("nan")},
        {"step": 2, "loss": float("inf")},
        {"loss": 9.0},
        {"step": 4, "loss": "text"},
    ]
    assert read_curve(rows, "eval_loss") == ((1.0, 3.0), (2.0, 1.0))
    assert read_curve(rows, "loss") == ((), ())


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50),
    st.lists(st.floats(-0.5, 0.5, width=32), max_size=50),
)
@settings(max_examples=40, deadline=None)
def test_histograms_hold_every_value_in_common_bins_with_zero_at_an_edge(first, second):
    figure = histogram(first=first, second=second)
    assert [sum(trace.y) for trace in figure.data] == [
        len(part) for part in (first, second) if part
    ]
    trace = figure.data[0]
    edges = np.array(trace.x) - np.array(trace.width) / 2
    if min(first) < 0 < max(first):
        assert np.abs(edges).min() < 1e-6 * trace.width[0]
    assert len(trace.x) <= 60


@pytest.mark.parametrize("value", [0.0, 1e17, -3.5])
def test_a_histogram_of_equal_values_has_bars(value):
    figure = histogram(same=[value] * 5)
    assert sum(figure.data[0].y) == 5


def test_the_win_rate_marker_has_the_interval():
    rate = make_win_rate()
    marker = draw_chart(win_rate_chart([rate])).data[-1]
    assert marker.x[0] == pytest.approx(100 * rate.rate.estimate)
    assert marker.x[0] + marker.error_x.array[0] == pytest.approx(100 * rate.rate.high)
    assert marker.x[0] - marker.error_x.arrayminus[0] == pytest.approx(100 * rate.rate.low)


def test_a_mark_that_is_not_finite_is_left_out():
    chart = Chart("lines", "t", "", "x", "y", (), (Mark(float("nan"), "start", vertical=False),))
    assert not draw_chart(chart).layout.shapes


def test_other_metrics_are_drawn_once_and_speeds_are_not():
    rows = ({"step": 1, "loss": 1.0, "kl": 0.1, "eval_kl": 0.2, "eval_runtime": 3.0, "epoch": 1},)
    (chart,) = further_charts(rows).values()
    assert chart.title == "kl"
    assert len(draw_chart(chart).data) == 2
