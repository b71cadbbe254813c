"""The report of a check: one self-contained HTML page and the same findings as JSON.

Knows findings and pages. Knows nothing of models, data files or of how findings come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accordant._version import __version__
from accordant.checks.findings import SEVERITIES, Finding, Severity, worst
from accordant.reports.finding_views import draw_charts, view_findings
from accordant.reports.pages import render_page, to_json, to_plain, write_files

CHECK_SCHEMA_VERSION = 1
HTML_NAME, JSON_NAME = "check.html", "check.json"


@dataclass(frozen=True, slots=True)
class NotRun:
    """A check that was not run, and why."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything the page of a check shows.

    Args:
        title: heading.
        source: file, folder or hub id of the feedback.
        record_type: kind of feedback.
        rows: rows read.
        records: records checked.
        held_out: source of the held-out feedback; None without one.
        model: the model, as the user named it; None where the feedback was checked alone.
        reference: what it was trained from; None before training.
        findings: the worst first.
        not_run: checks that were not run, and why.
        notes: what a user should know of how the feedback was read.
        seconds: wall time of every check.
        filtered: file without the rows to leave out, and counts; empty without one.
        settings: options of the run.
        command: the command line.
        created: ISO 8601 with the time zone.
    """

    title: str
    source: str
    record_type: str
    rows: int
    records: int
    findings: tuple[Finding, ...]
    held_out: str | None = None
    model: str | None = None
    reference: str | None = None
    not_run: tuple[NotRun, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    filtered: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    created: str = ""

    @property
    def worst(self) -> Severity:
        """The worst severity of its findings."""
        return worst(self.findings)


def in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The worst findings first, otherwise as they are."""
    return tuple(sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity)))


def verdict(report: CheckReport) -> str:
    """What was found, in a line."""
    if not report.findings:
        return "No check could be run."
    raised = [finding for finding in report.findings if finding.raised]
    count = len(report.findings)
    checks = f"{count} check{'s' if count > 1 else ''}"
    if not raised:
        return f"{checks} found nothing to object to."
    found = [
        f"{number} {severity}"
        for severity in reversed(SEVERITIES)
        if severity != "ok" and (number := sum(f.severity == severity for f in raised))
    ]
    titles = "; ".join(finding.title for finding in raised[:3])
    more = f"; and {len(raised) - 3} more" if len(raised) > 3 else ""
    return f"{checks}: {', '.join(found)} ({titles}{more})."


def write_check_report(report: CheckReport, folder: Path) -> tuple[Path, Path]:
    """Write `check.html` and `check.json` into `folder`, replacing those of an earlier check.

    Returns:
        The paths of the page and of the JSON.

    Raises:
        UserError: the folder cannot be written.
    """
    texts = {JSON_NAME: render_check_json(report), HTML_NAME: render_check_html(report)}
    write_files(folder, texts)
    return folder / HTML_NAME, folder / JSON_NAME


def check_values(report: CheckReport) -> dict[str, Any]:
    """The report as JSON values, field by field, with `schema_version`, `verdict` and `worst`."""
    head = {
        "schema_version": CHECK_SCHEMA_VERSION,
        "generator": f"accordant {__version__}",
        "verdict": verdict(report),
        "worst": report.worst,
    }
    values: dict[str, Any] = to_plain(head | to_plain(report))
    return values


def render_check_json(report: CheckReport) -> str:
    """The report as strict JSON; what is not finite (nothing measured) is null."""
    return to_json(check_values(report))


def render_check_html(report: CheckReport) -> str:
    """The report as one HTML page that needs no other file and no network."""
    views = tuple(map(draw_charts, view_findings(report.findings)))
    groups = [
        ("raised", "Findings", [view for view in views if view.finding.raised]),
        ("quiet", "Nothing to object to", [view for view in views if not view.finding.raised]),
    ]
    shown = [group for group in groups if group[2]]
    not_run = [("not-run", "Not run")] if report.not_run else []
    return render_page(
        "check.html.j2",
        [plot for view in views for plot in view.plots],
        report=report,
        groups=shown,
        views=views,
        verdict=verdict(report),
        tone={"ok": "good", "info": "neutral"}.get(report.worst, "bad"),
        schema_version=CHECK_SCHEMA_VERSION,
        json_name=JSON_NAME,
        sections=[*((anchor, name) for anchor, name, _ in shown), *not_run, ("run", "Run")],
        settings=[(name, str(value)) for name, value in report.settings.items()],
    )
