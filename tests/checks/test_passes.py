"""Passes, scales and outcomes: what every check leans on, held to its contract."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.base.options import Count
from accordant.checks import registry
from accordant.checks.findings import SEVERITIES, FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.passes import Pass
from accordant.checks.registry import bind_check_options, check, get_check, list_checks
from accordant.feedback.records import Origin
from accordant.statistics.interval import Interval

NUMBER = Interval(0.5, 0.4, 0.6, 10)


@pytest.fixture
def no_checks(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_load_all", lambda: None)


def counting():
    """A pass that says which values it was made with, and the list of them."""
    made = []

    def run(inputs, *, size: Count = 2):
        """Make it.

        Args:
            size: how large.
        """
        made.append(size)
        return size

    return Pass("made ({size})", run, lambda inputs, size: 10.0 * size, needs=("model",)), made


def test_a_pass_is_made_once_for_every_value_of_its_options():
    inputs, (one, made) = CheckInputs(feedback=None), counting()
    assert [one.read(inputs), one.read(inputs, size=2), one.read(inputs, size=3)] == [2, 2, 3]
    assert made == [2, 3]
    assert inputs.shared[one.key(size=3)] == 3


def test_the_tokens_of_a_pass_are_counted_with_those_it_reads_and_once():
    inputs, (inner, _) = CheckInputs(feedback=None), counting()
    outer = Pass("outer", lambda inputs: None, uses=("model",), reads=(inner,))
    assert inner.costs(inputs, {"size": 4, "other": 1}) == {"made (4)": 40.0}
    assert outer.costs(inputs, {}) == {"made (2)": 20.0}
    assert Pass("free", lambda inputs: None, lambda inputs: 0.0).costs(inputs, {}) == {}


def test_a_pass_over_a_model_says_its_cost():
    with pytest.raises(ValueError, match="what it costs"):
        Pass("x", lambda inputs: None, needs=("model",))
    with pytest.raises(ValueError, match="no such thing"):
        Pass("x", lambda inputs: None, needs=("money",))


def test_a_check_takes_over_needs_options_and_results_of_its_passes(no_checks):
    one, _ = counting()

    @check(name="far", title="Far", when="before", reads=(one,), shown=(3, "rows."))
    def far(inputs, size, *, share: float = 0.5):
        """Says how far."""
        return Outcome("far", Interval(share, share, share, 1), f"size {size}")

    assert far.needs == ("model",)
    assert far.reads_model
    assert [option.name for option in far.options] == ["share", "size", "shown"]
    assert far.options[1].help == "how large."
    inputs = CheckInputs(feedback=None)
    assert far(inputs, size=7, share=0.25).sentence == "size 7"
    assert far.costs(inputs) == {"made (2)": 20.0}
    with pytest.raises(TypeError, match="no option"):
        far(inputs, sizes=7)


def test_the_registry_completes_what_a_check_found(no_checks):
    rows = [FindingRow(float(n), ()) for n in range(5)]
    origin = Origin("f", 1)
    scale = Scale("a source", above={0.1: "info", 0.45: "warning"})

    @check(name="x", title="X", when="before", scale=scale, shown=(2, "rows."))
    def found(inputs):
        """Finds."""
        return Outcome("q", NUMBER, "s", "m", rows=rows, drop=(origin, None, origin))

    finding = found(CheckInputs(feedback=None))
    assert (finding.check, finding.title, finding.severity) == ("x", "X", "warning")
    assert (finding.threshold.value, finding.threshold.source) == (0.45, "a source")
    assert (finding.rows, finding.concerned, finding.drop) == (tuple(rows[:2]), 5, (origin,))
    assert finding.step is None
    assert finding.mend == "m"


def test_what_is_not_raised_has_nothing_to_mend_and_rows_are_made_as_they_are_listed(no_checks):
    made = []

    def rows():
        for n in itertools.count():
            made.append(n)
            yield FindingRow(float(n), ())

    @check(name="x", title="X", when="before", shown=(2, "rows."))
    def found(inputs):
        """Finds."""
        return Outcome("q", NUMBER, "s", "m", rows=rows(), concerned=9)

    finding = found(CheckInputs(feedback=None))
    assert (finding.severity, finding.mend, finding.threshold) == ("ok", "", None)
    assert (finding.concerned, made) == (9, [0, 1])


@given(st.floats(-2, 2), st.floats(0, 1), st.floats(0, 1))
def test_a_number_is_as_severe_as_the_worst_level_it_reaches(value, below, above):
    number = Interval(value, value - below, value + above, 5)
    scale = Scale(
        "s",
        above={0.0: "info"},
        surely_above={0.5: "warning"},
        surely_below={-0.5: "warning"},
        surely_off={1.0: "serious"},
        middle=0.0,
    )
    reached = {
        "serious": number.low > 1.0 or number.high < -1.0,
        "warning": number.low > 0.5 or number.high < -0.5,
        "info": value > 0,
        "ok": True,
    }
    assert scale.severity(number) == next(severity for severity in reached if reached[severity])


def test_what_was_not_measured_is_not_raised():
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    for severity in SEVERITIES:
        levels = {0.0: severity}
        scale = Scale("s", levels, levels, levels, levels)
        assert scale.severity(nothing) == "ok"


def test_a_report_shows_the_level_of_a_warning_on_the_side_of_the_number():
    off = Scale("s", surely_off={0.05: "info", 0.2: "warning"})
    assert [off.held_against(Interval(x, x, x, 1)).value for x in (0.9, 0.1)] == [0.7, 0.3]
    assert Scale("s", above={0.1: "info"}).held_against(NUMBER).value == 0.1
    assert Scale("s", above={0.1: "info"}, threshold=0.3).held_against(NUMBER).value == 0.3


def test_every_check_that_reads_a_model_says_what_of_it():
    for one in list_checks():
        assert one.reads_model == any(
            {"model", "reference"} & {*p.needs, *p.uses} for p in one.passes
        )
        assert len({option.name for option in one.options}) == len(one.options)
        assert all(option.help for option in one.options), one.name


@pytest.mark.parametrize("entry", list_checks(), ids=lambda entry: entry.name)
def test_every_option_is_read_from_the_command_line(entry):
    for option in (option for option in entry.options if option.default is not None):
        text = option.default if isinstance(option.default, str) else str(option.default).lower()
        bound = bind_check_options([entry], {f"{entry.name}.{option.name}": text})[entry.name]
        assert bound == {other.name: other.default for other in entry.options}


@pytest.mark.parametrize(
    ("whole", "text", "value"),
    [
        ("ches.drop", "0.2", 0.2),
        ("ches.above", "none", None),
        ("ches.probe_steps", "0", 0),
        ("gradient-entanglement.layers", "2", 2),
        ("gradient-entanglement.tokens", "all", "all"),
        ("positionality.annotations", "a.csv", "a.csv"),
        ("weak-to-strong.confidence", "0.8", 0.8),
        ("frontier.samples", "3", 3),
    ],
)
def test_options_of_checks_and_of_their_passes_take_values(whole, text, value):
    name, _, option = whole.partition(".")
    assert bind_check_options([get_check(name)], {whole: text})[name][option] == value


@pytest.mark.parametrize(
    ("whole", "text", "option"),
    [("ches.score", "longest", "score"), ("frontier.samples", "2", "samples")],
)
def test_values_out_of_range_name_their_option(whole, text, option):
    with pytest.raises(UserError, match=option):
        bind_check_options([get_check(whole.partition(".")[0])], {whole: text})


@pytest.mark.parametrize("name", ["positionality", "weak-to-strong", "duplicates"])
def test_checks_without_a_model_cost_nothing(name):
    entry = get_check(name)
    assert (entry.needs, entry.costs(CheckInputs(feedback=None))) == ((), {})
