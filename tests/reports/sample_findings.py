"""Findings to show, one of every shape."""

from __future__ import annotations

import math

from accordant.checks.findings import Finding, FindingRow, Passage, Threshold
from accordant.feedback.records import Origin
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.interval import Interval
from accordant.statistics.measures import Measure

KINDS = ("histogram", "bars", "lines", "points")


def make_chart(kind, text="a"):
    with_xs = kind in ("lines", "points")
    values = (1.0, 2.0, 4.0)
    series = Series(
        name=text,
        values=values,
        xs=(0.0, 1.0, 2.0) if with_xs else (),
        low=(0.5, 1.5, 3.0) if kind != "histogram" else (),
        high=(1.5, 2.5, 5.0) if kind != "histogram" else (),
        labels=() if kind == "histogram" else (text, "second", "third"),
    )
    return Chart(kind, text, text, text, text, (series,), (Mark(2.0, text, kind != "bars"),))


def make_finding(text="displacement", severity="warning", **changes):
    """A finding with everything it may have, `text` in all its places."""
    values = {
        "check": text,
        "title": text,
        "severity": severity,
        "quantity": text,
        "number": Interval(0.31, 0.25, 0.37, 200),
        "sentence": text,
        "unit": "share",
        "mend": text,
        "threshold": Threshold(0.2, text),
        "rows": (
            FindingRow(
                1.25,
                (Passage("prompt", text), Passage(text, "word " * 200)),
                Origin(text, 3),
                (Origin(text, 4), Origin(text, 9)),
                text,
            ),
            FindingRow(-0.5, (Passage("answer", text),)),
        ),
        "row_unit": "nats",
        "concerned": 31,
        "drop": (Origin(text, 4),),
        "measures": (Measure(text, Interval(1.0, math.nan, math.nan, 1), "nats"),),
        "charts": tuple(make_chart(kind, text) for kind in KINDS),
    }
    return Finding(**(values | changes))
