"""The report of a check: all findings in a table, then each with its rows, and what was not run.

Knows findings and the parts of a report. Knows nothing of models, data files or of how findings
come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from accordant.checks.findings import SEVERITIES, Finding, Severity, worst
from accordant.reports.finding_views import view_findings
from accordant.reports.report import (
    Cell,
    Facts,
    Findings,
    Notice,
    Part,
    Prose,
    Report,
    Section,
    Table,
    columns,
)
from accordant.runs.report_parts import ENDS, command_part, known, shown
from accordant.statistics.measures import Tone

CHECK_SCHEMA_VERSION = 1
_TONES: dict[Severity, Tone] = {"ok": "good", "info": "neutral"}


@dataclass(frozen=True, slots=True)
class NotRun:
    """A check that was not run, and why."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckResults:
    """Everything a check found; `check.json` is this, field by field."""

    title: str
    source: str  # file, folder or hub id of the feedback
    record_type: str
    rows: int
    records: int
    findings: tuple[Finding, ...]  # the worst first
    held_out: str | None = None  # source of the held-out feedback; None without one
    # the model, as the user named it; None where the feedback was checked alone
    model: str | None = None
    reference: str | None = None  # what it was trained from; None before training
    not_run: tuple[NotRun, ...] = ()  # checks that were not run, and why
    notes: tuple[str, ...] = ()  # what a user should know of how the feedback was read
    seconds: Mapping[str, float] = field(default_factory=dict)  # wall time of every check
    # file without the rows to leave out, and counts; empty without one
    filtered: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    created: str = ""  # ISO 8601 with the time zone

    @property
    def worst(self) -> Severity:
        """The worst severity of its findings."""
        return worst(self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the fields, with the worst severity in front."""
        return {"worst": self.worst, **{f.name: getattr(self, f.name) for f in fields(self)}}


def in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the worst findings first, otherwise as they are."""
    return tuple(sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity)))


def check_verdict(findings: tuple[Finding, ...]) -> str:
    """Return what was found, in a line."""
    if not findings:
        return "No check could be run."
    raised = [finding for finding in findings if finding.raised]
    checks = f"{len(findings)} check{'s' if len(findings) > 1 else ''}"
    if not raised:
        return f"{checks} found nothing to object to."
    counts = {s: sum(f.severity == s for f in raised) for s in reversed(SEVERITIES)}
    counted = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    titles = "; ".join(finding.title for finding in raised[:3])
    more = f"; and {len(raised) - 3} more" if len(raised) > 3 else ""
    return f"{checks}: {counted} ({titles}{more})."


def build_check_report(results: CheckResults) -> Report:
    """Build the report of a check from what it found."""
    raised = tuple(finding for finding in results.findings if finding.raised)
    quiet = tuple(finding for finding in results.findings if not finding.raised)
    left_out = tuple((Cell(each.check, mark="code"), each.reason) for each in results.not_run)
    sections = (
        Section(
            "raised",
            "Findings",
            shown(Findings(raised)),
            "Each number against its threshold. A row opens to its whole texts.",
        ),
        Section("quiet", "Nothing to object to", shown(Findings(quiet))),
        Section(
            "not-run",
            "Not run",
            shown(Table("Checks that were not run", columns("", ""), left_out)),
        ),
        Section("run", "Run", _run_parts(results)),
    )
    return Report(
        title=results.title,
        verdict=check_verdict(results.findings),
        sections=sections,
        name="check",
        kind="check",
        tone=_TONES.get(results.worst, "bad"),
        facts=known(
            data=results.source,
            records=f"{results.records:,} {results.record_type}",
            held_out=results.held_out,
            model=results.model,
            trained_from=results.reference,
            made=results.created,
        ),
        head=shown(_all_checks((*raised, *quiet))),
        notices=tuple(Notice("not run", f"{n.check} ({n.reason})") for n in results.not_run),
        record=results,
        schema=CHECK_SCHEMA_VERSION,
    )


def _all_checks(findings: tuple[Finding, ...]) -> Table:
    """Show every finding in a row that leads to it; `findings` in the order of the page."""
    rows = tuple(
        (
            Cell(view.finding.severity, mark=view.finding.severity),
            Cell(
                view.finding.check,
                (view.finding.title,) if view.finding.title != view.finding.check else (),
                f"#finding-{view.identifier}",
            ),
            view.finding.quantity,
            view.value,
            view.ends,
        )
        for view in view_findings(findings)
    )
    headings = columns("severity", "check", "number", "#value", ENDS)
    return Table("All checks", headings, rows, in_terminal=True)


def _run_parts(results: CheckResults) -> tuple[Part, ...]:
    rows = tuple((name, str(value)) for name, value in results.settings.items())
    empty = "all as they are by default"
    filtered = ""
    if results.filtered:
        file, kept, dropped, unreadable = (
            results.filtered[name] for name in ("file", "kept", "dropped", "unreadable")
        )
        lost = f", {unreadable:,} could not be read" if unreadable else ""
        filtered = f"{kept:,} rows written to {file}, {dropped:,} left out{lost}."
    return (
        Facts("Settings", rows, code=True, wide=True, empty=empty),
        *shown(
            Prose("The feedback", results.notes),
            Prose("Filtered", (filtered,) if filtered else ()),
            command_part(results.command),
        ),
    )
