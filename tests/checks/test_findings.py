"""What a check returns, and how checks are found."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import accordant.checks
from accordant.base.errors import UserError
from accordant.checks import registry
from accordant.checks.findings import (
    EXCERPT,
    Finding,
    FindingRow,
    Passage,
    reaches,
    worst,
)
from accordant.checks.registry import check, get_check, list_checks
from accordant.feedback.records import Origin
from accordant.statistics.interval import Interval

ROOM = Path(accordant.checks.__file__).parent


def finding(severity, name="x"):
    return Finding(name, "X", severity, "rows", Interval(1.0, 1.0, 1.0, 1), "Something.")


def test_an_excerpt_is_one_short_line():
    row = FindingRow(
        1.0, (Passage("prompt", "a\nb  c"), Passage("chosen", "d" * 500)), Origin("f", 3)
    )
    assert row.excerpt.startswith("a b c | ddd")
    assert len(row.excerpt) == EXCERPT
    assert row.excerpt.endswith("…")


def test_severities_are_ordered_and_only_ok_is_not_raised():
    order = ("ok", "info", "warning", "serious")
    for i, severity in enumerate(order):
        assert finding(severity).raised == (severity != "ok")
        assert [reaches(severity, level) for level in order] == [i >= j for j in range(4)]
    assert worst(finding(one) for one in ("info", "serious", "warning")) == "serious"
    assert worst(()) == "ok"


def test_checks_are_found_by_being_there_and_say_what_they_do():
    for one in list_checks():
        assert one.title, one.name
        assert one.summary.endswith("."), one.name
        assert get_check(one.name) == one
    names = [one.name for one in list_checks()]
    assert len(set(names)) == len(names)
    modules = {one.functions[0].__module__ for one in list_checks()}
    assert len(modules) == len(names), "one file per check"


def test_an_unknown_check_is_a_user_error():
    with pytest.raises(UserError, match="no check 'nothing of the kind'"):
        get_check("nothing of the kind")


def test_listing_checks_loads_no_model_library():
    code = (
        "import sys; from accordant.checks.registry import list_checks; list_checks(); "
        "print(sorted({'torch', 'transformers', 'plotly', 'sklearn'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_file_of_a_stage_says_what_lives_there():
    for path in ROOM.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_options_of_checks_are_told_apart_by_the_checks_name(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_load_all", lambda: None)

    @check(name="far", title="Far", when="before")
    def far(inputs, *, share: float = 0.5):
        """Says how far.

        Args:
            share: of the way.
        """

    one = get_check("far")
    assert one.options[0].help == "of the way."
    assert registry.bind_check_options([one], {}) == {"far": {"share": 0.5}}
    assert registry.bind_check_options([one], {"far.share": "0.25"}) == {"far": {"share": 0.25}}
    for wrong in ({"share": 1}, {"near.share": 1}, {"far.shore": 1}, {"far.share": "much"}):
        with pytest.raises(UserError):
            registry.bind_check_options([one], wrong)
    with pytest.raises(UserError, match="is not run"):
        registry.bind_check_options([], {"far.share": 1})
