"""Findings in words and plots."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from accordant.reports.drawing import describe_chart, draw_chart
from accordant.reports.finding_views import ends_of, view_findings
from accordant.statistics.interval import Interval
from accordant.statistics.wording import amount
from tests.reports.sample_findings import KINDS, make_chart, make_finding


def test_a_view_says_number_interval_threshold_and_what_is_not_listed():
    (view,) = view_findings([make_finding()])
    assert (view.value, view.ends) == ("31 %", "25 to 37 %")
    assert view.threshold == "threshold 20 %: displacement"
    assert [value for _, value, _ in view.rows] == ["1.25 nats", "-0.500 nats"]
    assert view.left == 29
    assert view.measures == [("displacement", "1 nats", "")]


def test_identifiers_are_unique_and_fit_in_a_page():
    views = view_findings([make_finding("<A b>"), make_finding("<A b>")])
    names = [view.identifier for view in views]
    names += [anchor for view in views for anchor, *_ in view.rows]
    names += [name for view in views for name in view.charts]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_chart_is_drawn_with_its_numbers_and_in_words(kind):
    chart = make_chart(kind, "<b>")
    figure = draw_chart(chart)
    data = figure.to_plotly_json()["data"]
    assert len(data) == 1
    assert "<b>" not in str(figure.to_json())
    assert "1.00" in describe_chart(chart)
    assert "4.00" in describe_chart(chart)
    if kind != "histogram":
        assert list(data[0]["error_y"]["array"]) == [0.5, 0.5, 1.0]


def test_a_chart_of_nothing_says_so():
    chart = make_chart("histogram")
    empty = replace(chart, series=())
    assert describe_chart(empty) == "a: ."
    assert not draw_chart(empty).data


def test_amounts_have_their_units():
    assert amount(0.5, "share") == "50 %"
    assert amount(12.0, "rows") == "12 rows"
    assert amount(-3.1, "nats") == "-3.10 nats"
    assert amount(math.nan, "number") == "unknown"
    assert ends_of(Interval(0.5, math.nan, math.nan, 1), "share") == ""
