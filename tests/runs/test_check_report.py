"""The page and the JSON of a check."""

from __future__ import annotations

import json
import math

import pytest
from rich.console import Console

from accordant.base.errors import UserError
from accordant.reports import pages, writing
from accordant.reports.terminal import print_report
from accordant.runs.check_report import (
    CheckResults,
    NotRun,
    build_check_report,
    check_verdict,
    in_order,
)
from accordant.statistics.interval import Interval
from tests.reports.sample_findings import make_finding
from tests.reports.test_report import Page

HOSTILE = '<script>alert(1)</script><b a="\'">&amp; \x1b[31m</style>{{ 7 * 7 }}'


def make_report(*findings, text="pairs.jsonl", **changes):
    values = {
        "title": text,
        "source": text,
        "record_type": "comparison",
        "rows": 12,
        "records": 11,
        "findings": in_order(findings),
        "held_out": text,
        "model": text,
        "reference": text,
        "not_run": (NotRun(text, text),),
        "notes": (text,),
        "seconds": {text: 1.5},
        "filtered": {"file": text, "kept": 9, "dropped": 2, "unreadable": 1},
        "settings": {text: [text]},
        "command": text,
        "created": text,
    }
    return CheckResults(**(values | changes))


def page_of(report):
    return Page(pages.render_html(build_check_report(report)).replace(pages.plotly_code(), ""))


def test_the_page_is_well_formed_and_every_row_links_to_its_whole_texts():
    page = page_of(make_report(make_finding(), make_finding("quiet", "ok")))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    links = [a["href"] for a in page.all("a") if a.get("href", "").startswith("#")]
    assert {link[1:] for link in links} <= {*identifiers}
    rows = [a["id"] for a in page.all("details") if a.get("class") == "row"]
    assert len(rows) == 4
    assert {f"#{row}" for row in rows} <= {*links}
    assert "word " * 200 in "".join(page.text)


def test_nothing_a_user_wrote_is_obeyed():
    report = make_report(make_finding(HOSTILE), text=HOSTILE)
    html = pages.render_html(build_check_report(report)).replace(pages.plotly_code(), "")
    assert "<script>alert" not in html
    assert "\x1b" not in html
    assert "49" not in "".join(page_of(report).text)
    plain = page_of(make_report(make_finding()))
    assert len(page_of(report).scripts) == len(plain.scripts)


def test_every_plot_has_its_data():
    page = page_of(make_report(make_finding(), make_finding("quiet", "ok")))
    known = {figure["id"] for figure in json.loads(page.scripts[0])}
    shown = {a["data-plot"] for a in page.all("div") if "data-plot" in a}
    assert shown == known
    assert len(shown) == 8


def test_json_holds_the_findings_field_by_field_and_is_strict():
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    report = make_report(make_finding(number=nothing), make_finding("b", "serious"))
    data = json.loads(writing.render_json(build_check_report(report)), parse_constant=pytest.fail)
    assert (data["schema_version"], data["worst"]) == (1, "serious")
    first, second = data["findings"]
    assert first["severity"] == "serious"
    assert second["number"]["estimate"] is None
    assert second["rows"][0]["origin"] == {"source": "displacement", "row": 3}
    assert second["rows"][0]["also"][1]["row"] == 9
    assert second["threshold"] == {"value": 0.2, "source": "displacement"}
    assert second["charts"][0]["series"][0]["values"] == [1.0, 2.0, 4.0]


def test_the_worst_come_first_and_the_verdict_counts():
    findings = [make_finding(s, s) for s in ("ok", "info", "serious", "warning", "info")]
    report = make_report(*findings)
    severities = [finding.severity for finding in report.findings]
    assert severities == ["serious", "warning", "info", "info", "ok"]
    found = check_verdict(report.findings)
    assert found == "5 checks: 1 serious, 1 warning, 2 info (serious; warning; info; and 1 more)."
    assert check_verdict((make_finding(severity="ok"),)) == ("1 check found nothing to object to.")
    assert check_verdict(()) == "No check could be run."


def test_files_are_replaced_as_wholes(tmp_path):
    for finding in (make_finding("first"), make_finding("second")):
        html, data = writing.write_report(
            build_check_report(make_report(finding)), tmp_path / "out"
        )
    assert "second" in html.read_text()
    assert json.loads(data.read_text())["findings"][0]["title"] == "second"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "check.html",
        "check.json",
    ]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        writing.write_report(build_check_report(make_report()), tmp_path / "file")


def test_a_terminal_shows_all_checks_and_the_rows_of_those_raised(capsys):
    hostile = make_finding("[red]x[/red]", "serious")
    print_report(
        build_check_report(make_report(hostile, make_finding("quiet", "ok"))), Console(width=200)
    )
    shown = capsys.readouterr().out
    assert "[red]x[/red]" in shown
    for text in ("quiet", "31 %", "25 to 37 %", "row 3: 1.25 nats", "not run", "and 29 more"):
        assert text in shown, text
    assert shown.index("[red]x[/red]") < shown.index("quiet")
