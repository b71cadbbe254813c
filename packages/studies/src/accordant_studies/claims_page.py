"""The page of claims: every system's claim in a line, and what was measured as intervals.

Knows results of the catalogue. Knows nothing of studies. A plot is an SVG file that follows the
reader's light or dark theme; every row has a scale of its own, with the threshold in one place.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from accordant.catalogue.system import Part, Result, System

WIDTH, LINE, PADDING = 860, 17, 9  # px
TEXT, LEFT, RIGHT = 46, 330, 660  # letters of a line; ends of the plot, px
MIDDLE = (LEFT + RIGHT) / 2
REACH = (RIGHT - LEFT) / 2 - 12
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.number { font: 12px ui-monospace, monospace; fill: #57606a }
.threshold { stroke: #8c959f; stroke-dasharray: 3 3 }
.yes { stroke: #1a7f37; fill: #1a7f37 } .no { stroke: #bc4c00; fill: #bc4c00 }
.control { opacity: 0.55 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .number { fill: #9198a1 } .threshold { stroke: #6e7681 }
  .yes { stroke: #3fb950; fill: #3fb950 } .no { stroke: #f0883e; fill: #f0883e }
}"""
MARKS = {"shown": "●", "in part": "◐", "not shown": "○", "not tested": "–"}
HEAD = """\
# What shows of the claims

Every system that works has its published claim put to the test here, in miniature, by
`accordant reproduce SLUG`. This page is written from the stored numbers of the last full run of
each study (`make studies`), by nobody's hand. A claim is *shown* only where every measurable part
of the abstract was tested and holds, on seeds that nobody had looked at while the study was
designed; *in part* where some parts hold. A part holds where its whole 95 % interval lies on the
right side of its threshold, which is the dashed line. Each row of a plot has its own scale. Green
holds, orange does not; controls, which say whether the study could see an effect at all, are pale.
A miniature says nothing of sizes at scale: it says whether the mechanism does what its paper says.
"""


def page_of(systems: Sequence[System], results: Mapping[str, Result]) -> str:
    """Return the page in Markdown, with plots as files in `claims/` beside it."""
    tested = [s for s in systems if s.state == "works" and s.claim]
    verdicts = {slug: result.verdict for slug, result in results.items()}
    counts = Counter[str](verdicts.get(system.slug, "not tested") for system in tested)
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in MARKS if counts[verdict])
    lines = [HEAD, f"**{len(tested)} claims: {tally}.**\n", "| | system | claim | verdict |"]
    lines.append("| --- | --- | --- | --- |")
    for system in tested:
        verdict, link = verdicts.get(system.slug, "not tested"), f"`{system.slug}`"
        if system.slug in results:
            link = f"[{link}](#{system.slug})"
        lines.append(f"| {MARKS[verdict]} | {link} | {system.claim} | {verdict} |")
    for system in tested:
        if system.slug in results:
            lines += ["", _section(system, results[system.slug])]
    return "\n".join(lines) + "\n"


def _section(system: System, result: Result) -> str:
    count, first, last = result.seeds
    held = sum(part.holds for part in result.parts)
    lines = [
        f"## {system.slug}\n",
        f"**{system.title}** ({system.id}). {system.paper}.\n",
        f"> {system.claim}\n",
        f"{MARKS[result.verdict]} **{result.verdict}**: {held} of {len(result.parts)} hold. "
        f"{count} seeds, {first} to {last}; {result.date}, commit `{result.commit}`. "
        f"`accordant reproduce {system.slug}`\n",
        f"![{_words(result.parts)}](claims/{system.slug}.svg)\n",
        *(f"- Not tested: {part}." for part in result.untested),
    ]
    if system.lacks:
        lines.append(f"- The method lacks: {system.lacks}")
    if system.not_shown:
        lines.append(f"- {system.not_shown}")
    return "\n".join([*lines, "", f"<small>{escape(result.note)}</small>"])


def _words(parts: Sequence[Part]) -> str:
    """Return a plot in words, for those who cannot see it."""
    spoken = (
        f"{'yes' if part.holds else 'no'}, {part.statement}: {numbers_of(part)}" for part in parts
    )
    return "; ".join(spoken).replace("[", "(").replace("]", ")")


def numbers_of(part: Part) -> str:
    """Write an effect with its interval, and the threshold where it is not 0."""
    low, estimate, high = part.effect
    if math.isnan(low):
        return f"{estimate:.3g}, no interval"
    over = f" > {part.threshold:g}" if part.threshold else ""
    return f"{estimate:.3g} [{low:.3g}, {high:.3g}]{over}"


def draw_parts(parts: Sequence[Part]) -> str:
    """Draw one interval a part, as an SVG file."""
    rows, top = [], PADDING
    for part in parts:
        words = ("control: " if part.control else "") + part.statement
        lines = textwrap.wrap(words, TEXT)
        rows.append(_row(part, lines, top))
        top += LINE * len(lines) + PADDING
    line = f'<line class="threshold" x1="{MIDDLE}" x2="{MIDDLE}" y1="4" y2="{top}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}" role="img">\n<style>{STYLE}</style>\n{line}\n'
        + "\n".join(rows)
        + "\n</svg>\n"
    )


def _row(part: Part, lines: Sequence[str], top: int) -> str:
    texts = "".join(
        f'<text x="0" y="{top + 12 + LINE * n}">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    y = top + 8 + LINE * (len(lines) - 1) / 2
    numbers = escape(numbers_of(part))
    beside = f'<text class="number" x="{RIGHT + 12}" y="{y + 4:g}">{numbers}</text>'
    kind = "control" if part.control else "part"
    return f'<g class="{kind}">{texts}{_interval(part, y)}{beside}</g>'


def _interval(part: Part, y: float) -> str:
    """Draw the interval, scaled so that its further end or the estimate just fits."""
    low, estimate, high = (number - part.threshold for number in part.effect)
    if math.isnan(low):
        return ""
    # Effects of one scale would press the small ones flat: units differ from row to row.
    scale = REACH / (max(abs(low), abs(high)) or 1.0)
    left, middle, right = (f"{MIDDLE + scale * number:.1f}" for number in (low, estimate, high))
    kind = "yes" if part.holds else "no"
    return (
        f'<line class="{kind}" x1="{left}" x2="{right}" y1="{y:g}" y2="{y:g}" stroke-width="2.5" '
        f'stroke-linecap="round"/><circle class="{kind}" cx="{middle}" cy="{y:g}" r="4.5"/>'
    )
